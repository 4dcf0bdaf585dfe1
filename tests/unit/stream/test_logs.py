"""Log lines: JSON for machines, text for people, secrets for nobody."""

import io
import json
from collections.abc import Iterator

import pytest
import structlog
from pymongo import MongoClient

from stream import logs
from stream.settings import LoggingSettings

URI = "mongodb://app:geheim@db:27017/x"


@pytest.fixture(autouse=True)
def fresh_structlog() -> Iterator[None]:
    """Leave no configuration behind."""
    yield
    structlog.reset_defaults()


def configured(**settings: str) -> io.StringIO:
    output = io.StringIO()
    logs.configure(LoggingSettings(**settings), output=output)
    return output


def test_a_line_is_one_json_object() -> None:
    """Facts are keys; level, part and UTC time are always there."""
    output = configured(LOG_FORMAT="auto")

    logs.logger("stream").info("micro_batch_landed", upserts=3)

    line = json.loads(output.getvalue())
    assert line.pop("timestamp").endswith("Z")
    assert {"event": "micro_batch_landed", "part": "stream", "level": "info", "upserts": 3} == line


def test_lines_below_the_level_are_left_out() -> None:
    """LOG_LEVEL decides, in any case of letters."""
    output = configured(LOG_LEVEL="Warning")

    logs.logger("stream").info("not said")
    logs.logger("stream").warning("said")

    assert ["said"] == [json.loads(line)["event"] for line in output.getvalue().splitlines()]


@pytest.mark.parametrize("form", ["json", "console"])
def test_secrets_are_masked_wherever_they_stand(form: str) -> None:
    """In the event, in a value, inside a list or an object, and in an exception's text."""
    output = configured(LOG_FORMAT=form)
    log = logs.logger("stream")

    values = {"uri": URI, "uris": [URI, (URI,)], "nested": {"uri": URI}, "error": ValueError(URI), "n": 1}
    log.warning("lost mongodb://app:geheim@db:27017/x", **values)
    try:
        MongoClient("mongodb://app:geheim@db:noport")
    except ValueError:
        log.exception("failed", exc_info=ValueError(URI))

    said = output.getvalue()
    assert "geheim" not in said
    assert said.count("mongodb://app:***@db:27017/x") >= 7
    assert "ValueError" in said


def test_a_person_s_line_is_text() -> None:
    """The console format is no JSON."""
    output = configured(LOG_FORMAT="console")

    logs.logger("stream").info("stream_started", namespace="a.b")

    assert "stream_started" in output.getvalue()
    assert "namespace=a.b" in output.getvalue()
