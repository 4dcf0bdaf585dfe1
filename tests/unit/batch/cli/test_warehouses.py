"""Commands that do not serve WAREHOUSE=iceberg refuse before they touch anything."""

from pathlib import Path

import pytest

from batch.cli import main


def test_a_command_that_knows_duckdb_alone_refuses(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """One sentence, exit code 2, and nothing is made."""
    monkeypatch.setenv("WAREHOUSE", "iceberg")
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)

    with pytest.raises(SystemExit) as ended:
        main(["demo"])

    assert 2 == ended.value.code
    assert "`demo` does not work with WAREHOUSE=iceberg" in capsys.readouterr().err
    assert [] == list(tmp_path.iterdir())


def test_help_is_given_in_any_case(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also of a command that would refuse."""
    monkeypatch.setenv("WAREHOUSE", "iceberg")

    with pytest.raises(SystemExit) as ended:
        main(["demo", "--help"])

    assert 0 == ended.value.code
    assert "Usage" in capsys.readouterr().out
