"""Settings of the batch runner that are more than a word or a number."""

import json
from pathlib import Path

import pytest

from batch.settings import PipelineSettings, Settings
from stream.errors import SettingsError
from stream.settings import read


def test_folders_are_spelled_as_in_the_marts(
    clean_environment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever way somebody writes a folder, the alias finds it; `config` shows what can be set again."""
    monkeypatch.setenv(
        "PROJECT_ALIASES", json.dumps({"c:\\work\\1\\": " shop ", "/srv/1/": "/home/ana/shop"})
    )
    expected = {"C:/work/1": "shop", "/srv/1": "/home/ana/shop"}
    assert expected == read(PipelineSettings).project_aliases
    (shown,) = (each for each in Settings.from_environment().describe() if each.name == "PROJECT_ALIASES")
    assert (expected, "{}") == (json.loads(shown.value), shown.default)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("/srv/1=/home/ana/shop", "must be a json object"),
        ('["/srv/1"]', "must be a json object"),
        ('{"/srv/1": 1}', "must be a json object"),
        ('{"/srv/1": ""}', "must name a folder and its project in each entry"),
        ('{"/": "shop"}', "must name a folder and its project in each entry"),
    ],
)
def test_aliases_that_are_none_are_refused(
    value: str, reason: str, clean_environment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message says what is wanted."""
    monkeypatch.setenv("PROJECT_ALIASES", value)
    with pytest.raises(SettingsError, match=reason):
        read(PipelineSettings)


@pytest.mark.parametrize("value", ["-1", "168", "monday"])
def test_a_week_has_168_hours(value: str, clean_environment: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hours outside it are refused."""
    monkeypatch.setenv("USAGE_WEEK_START_HOUR", value)
    with pytest.raises(SettingsError, match="USAGE_WEEK_START_HOUR"):
        read(PipelineSettings)
