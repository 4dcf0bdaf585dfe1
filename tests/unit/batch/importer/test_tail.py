"""A log is read as far as it is written, and each line once."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from batch.importer.document import Unreadable
from batch.importer.files import LogFile
from batch.importer.tail import LogTail, NoConversationError

NOW = datetime(2026, 1, 2, tzinfo=UTC)


def tail_of(path: Path) -> LogTail:
    return LogTail(LogFile(path, f"app/{path.name}", 0))


def values(tail: LogTail) -> list[Any]:
    read = [line.content for line in tail.read(ingested_at=NOW)]
    return [content["v"] if isinstance(content, dict) else content for content in read]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "one.jsonl"


def append(path: Path, text: str) -> None:
    with path.open("a") as file:
        file.write(text)


def test_only_what_is_new_is_read(path: Path) -> None:
    """A second reading starts where the first ended, with line numbers going on."""
    path.write_text('{"v": 1}\n{"v": 2}\n')
    tail = tail_of(path)
    assert [1, 2] == values(tail)
    assert [] == values(tail)

    append(path, '\n{"v": 3}\n')
    assert [(3, 1), (4, 9)] == [(line.number, line.size_bytes) for line in tail.read(ingested_at=NOW)]


def test_a_half_line_waits_for_its_rest(path: Path) -> None:
    """What is no whole object yet gives nothing, and all of it once it is."""
    path.write_text('{"v": 1}\n{"v":')
    tail = tail_of(path)
    [_, half] = tail.read(ingested_at=NOW)
    assert (None, True) == (half.content, half.is_open)

    append(path, " 2}\n")
    assert [2] == values(tail)


def test_a_whole_object_without_line_end_counts(path: Path) -> None:
    """A last line without its end is given, and given again with the same `_id` when the end is there."""
    path.write_text('{"v": 1}')
    tail = tail_of(path)
    [before] = tail.read(ingested_at=NOW)
    append(path, '\n{"v": 1}\n')
    again, second = tail.read(ingested_at=NOW)

    assert isinstance(before.content, dict)
    assert before.content == again.content
    assert isinstance(second.content, dict)
    assert second.content["_id"] != before.content["_id"]


@pytest.mark.parametrize(
    ("before", "after"),
    [([1, 2], [9]), ([1], [8, 9])],
    ids=["shorter", "other bytes before the place reached, and longer"],
)
def test_a_log_written_again_is_read_from_its_start(path: Path, before: list[int], after: list[int]) -> None:
    """It is another log, even if it grew."""
    path.write_text("".join(f'{{"v": {value}}}\n' for value in before))
    tail = tail_of(path)
    values(tail)
    path.write_text("".join(f'{{"v": {value}}}\n' for value in after))

    assert after == values(tail)


def test_a_log_replaced_under_its_name_is_read_from_its_start(path: Path) -> None:
    """Another file under the same name is read from its start, with the same `_id`s for the same lines."""
    path.write_text('{"v": 1}\n')
    tail = tail_of(path)
    [first] = tail.read(ingested_at=NOW)
    other = path.with_name("other")
    other.write_text('{"v": 1}\n{"v": 2}\n')
    other.replace(path)

    again = list(tail.read(ingested_at=NOW))

    assert again[0].content == first.content
    assert 2 == len(again)


def test_a_change_is_noticed(path: Path) -> None:
    """A log is worth reading when it was never read or was written since; not when it is gone."""
    path.write_text('{"v": 1}\n')
    tail = tail_of(path)
    assert tail.has_changed
    values(tail)
    assert not tail.has_changed
    append(path, '{"v": 2}\n')
    assert tail.has_changed
    path.unlink()
    assert not tail.has_changed


def test_a_missing_log_raises(path: Path) -> None:
    """A log that was deleted meanwhile is the caller's to report."""
    with pytest.raises(FileNotFoundError):
        values(tail_of(path))


def test_a_monstrous_line_is_passed_over(path: Path) -> None:
    """A line too long to be held is reported with its size; the next one is read."""
    path.write_text('{"v": 1}\n{"v": "' + "x" * 1000 + '"}\n{"v": 3}\n')

    tail = LogTail(LogFile(path, "app/one.jsonl", 0), max_line_bytes=100)

    assert [1, Unreadable("too large: 1,010 bytes"), 3] == values(tail)


RECORD = '{"type": "user", "sessionId": "s", "v": %d}'


def test_whole_records_in_a_damaged_line_are_saved(path: Path) -> None:
    """The line is reported with their number; each has the `_id` that it has on a line of its own."""
    path.write_text(f"{RECORD % 1}{RECORD % 2}\n{RECORD % 3}\n")
    alone = path.with_name("alone.jsonl")
    alone.write_text(f"{RECORD % 1}\n{RECORD % 2}\n{RECORD % 3}\n")

    lines = list(tail_of(path).read(ingested_at=NOW))

    reason = "not JSON at column 43: extra data; whole records in it are saved: 2"
    assert (1, Unreadable(reason)) == (lines[0].number, lines[0].content)
    assert [1, 1, 2] == [line.number for line in lines[1:]]
    expected = LogTail(LogFile(alone, "app/one.jsonl", 0)).read(ingested_at=NOW)
    assert [line.content for line in lines[1:]] == [line.content for line in expected]
    assert sum(line.size_bytes for line in lines) == path.stat().st_size


AUDIT = '{"type": "assistant", "session_id": "s", "_audit_timestamp": "2026-01-01T00:00:00Z", "v": 1}'


@pytest.mark.parametrize("end", ["", "\n", "\n" + RECORD % 2])
def test_an_audit_log_is_left_out(path: Path, end: str) -> None:
    """By what its first line is, not by its name; once, until it changes."""
    path.write_text(AUDIT + end)
    tail = tail_of(path)

    with pytest.raises(NoConversationError, match="an audit log of the desktop program, no conversation"):
        values(tail)

    assert not tail.has_changed


def test_a_log_that_speaks_of_audits_is_none(path: Path) -> None:
    """What somebody said about such a field makes no audit log of a conversation."""
    path.write_text('{"sessionId": "s", "_audit_timestamp": 1, "v": 1}\n{"v": "\\"_audit_timestamp\\""}\n')

    assert [1, '"_audit_timestamp"'] == values(tail_of(path))
