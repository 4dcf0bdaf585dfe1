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
    ("name", "value", "reason"),
    [
        ("PROJECT_ALIASES", "/srv/1=/home/ana/shop", "must be a json object"),
        ("PROJECT_ALIASES", '["/srv/1"]', "must be a json object"),
        ("PROJECT_ALIASES", '{"/srv/1": 1}', "must be a json object"),
        ("PROJECT_ALIASES", '{"/srv/1": ""}', "must name a folder and its project in each entry"),
        ("PROJECT_ALIASES", '{"/": "shop"}', "must name a folder and its project in each entry"),
        *(("USAGE_WEEK_START_HOUR", value, "USAGE_WEEK_START_HOUR") for value in ("-1", "168", "monday")),
    ],
)
def test_aliases_that_are_none_and_hours_of_no_week_are_refused(
    name: str, value: str, reason: str, clean_environment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message says what is wanted."""
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=reason):
        read(PipelineSettings)
