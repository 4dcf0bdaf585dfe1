"""Import into a real MongoDB: every line once, however often and in whatever pieces."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from bson.objectid import ObjectId
from pymongo import MongoClient
from pymongo.collection import Collection

from batch.importer.document import MAX_NESTING
from batch.importer.importer import import_logs
from batch.importer.report import ImportProgress, ImportReport, UnreadableLine
from stream.clock import utc_now
from stream.errors import AnalyticsError, ImportPathError, SourceUnreachableError
from tests.support.logs import TIMESTAMP, log_line, numbers

pytestmark = pytest.mark.integration

Documents = Collection[dict[str, Any]]
FIRST = datetime(2026, 1, 1, tzinfo=UTC)
SECOND = datetime(2026, 1, 2, tzinfo=UTC)


def counts(report: ImportReport) -> dict[str, int]:
    return {
        "inserted": report.inserted,
        "already_there": report.already_there,
        "incomplete": report.incomplete,
        "unreadable": report.unreadable_count,
    }


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "projects" / "-home-me-app" / "one.jsonl"
    path.parent.mkdir(parents=True)
    return path


def test_a_line_arrives_as_it_is(log: Path, collection: Documents) -> None:
    """The document in MongoDB is the line plus project, log and time of the import."""
    log.write_text(log_line(1, message={"a.b": [1.5, None]}))

    import_logs([log], collection, clock=lambda: FIRST)

    assert {
        "type": "user",
        "timestamp": TIMESTAMP,
        "n": 1,
        "message": {"a.b": [1.5, None]},
        "projectId": "-home-me-app",
        "sourceFile": "-home-me-app/one.jsonl",
        "ingestedAt": FIRST,
    } == collection.find_one({}, {"_id": 0})


def test_a_second_import_changes_nothing(log: Path, collection: Documents) -> None:
    """Nothing is inserted twice, and `ingestedAt` stays the time of the first import."""
    log.write_text("".join(log_line(number) for number in range(2500)))

    first = import_logs([log], collection, clock=lambda: FIRST)
    second = import_logs([log], collection, clock=lambda: SECOND)

    assert {"inserted": 2500, "already_there": 0, "incomplete": 0, "unreadable": 0} == counts(first)
    assert {"inserted": 0, "already_there": 2500, "incomplete": 0, "unreadable": 0} == counts(second)
    assert [FIRST] == collection.distinct("ingestedAt")
    assert 2500 == collection.count_documents({})


def test_of_an_appended_log_only_the_new_lines_are_inserted(log: Path, collection: Documents) -> None:
    """Old lines are recognised, whether they lie in the same batch as new ones or not."""
    log.write_text("".join(log_line(number) for number in range(1500)))
    import_logs([log], collection, clock=lambda: FIRST)
    with log.open("a") as file:
        file.writelines(log_line(number) for number in range(1500, 3700))

    report = import_logs([log], collection, clock=lambda: SECOND)

    assert {"inserted": 2200, "already_there": 1500, "incomplete": 0, "unreadable": 0} == counts(report)
    assert list(range(3700)) == numbers(collection)


def test_a_half_written_line_is_left_for_next_time(log: Path, collection: Documents) -> None:
    """A line that is just being written is no error, and imported once it is whole."""
    whole = log_line(2)
    log.write_text(log_line(1) + whole[:20])
    first = import_logs([log], collection, clock=lambda: FIRST)
    log.write_text(log_line(1) + whole.rstrip("\n"))
    second = import_logs([log], collection, clock=lambda: FIRST)
    log.write_text(log_line(1) + whole)
    third = import_logs([log], collection, clock=lambda: FIRST)

    assert {"inserted": 1, "already_there": 0, "incomplete": 1, "unreadable": 0} == counts(first)
    assert {"inserted": 1, "already_there": 1, "incomplete": 0, "unreadable": 0} == counts(second)
    assert {"inserted": 0, "already_there": 2, "incomplete": 0, "unreadable": 0} == counts(third)
    assert [1, 2] == numbers(collection)


def test_equal_lines_all_arrive(log: Path, collection: Documents) -> None:
    """A log that holds the same line three times gives three documents, once."""
    log.write_text(log_line(7) * 3)

    import_logs([log], collection, clock=lambda: FIRST)
    import_logs([log], collection, clock=lambda: FIRST)

    assert [7, 7, 7] == numbers(collection)


def test_unreadable_lines_are_named_and_the_rest_arrives(log: Path, collection: Documents) -> None:
    """File, line number and reason of each; none of them stops the import."""
    large = log_line(5, text="x" * 17_000_000)
    log.write_text(log_line(1) + "garbage\n\n[1]\n" + large + log_line(6))

    report = import_logs([log], collection, clock=lambda: FIRST)

    assert [
        UnreadableLine(log, 2, "not JSON at column 1: expecting value"),
        UnreadableLine(log, 4, "not an object"),
        UnreadableLine(log, 5, "too large: 17,000,182 bytes as BSON, MongoDB stores 16,777,216"),
    ] == sorted(report.unreadable)
    assert (5, 1) == (report.lines, report.files)
    assert [1, 6] == numbers(collection)


def test_a_document_that_mongodb_refuses_is_named(log: Path, collection: Documents) -> None:
    """A rule of the collection that a line breaks is reported for that line alone."""
    collection.database.create_collection(collection.name, validator={"n": {"$lt": 3}})
    log.write_text(log_line(1) + log_line(5) + log_line(2))

    report = import_logs([log], collection, clock=lambda: FIRST)

    assert [UnreadableLine(log, 2, "refused by MongoDB: Document failed validation")] == report.unreadable
    assert [1, 2] == numbers(collection)


@pytest.mark.parametrize(
    "odd",
    [
        b'{"n": 1, "v": NaN}',
        b'{"n": 1, "v": 123456789012345678901234567890}',
        b'{"n": 1, "v": "\\ud800"}',
        b'{"n": 1, "v": {"a\\u0000b": "c\\u0000d"}}',
        b'{"n": 1, "$set": {"$ref": 1}, "a.b": {"": {".": 2}}}',
        b'{"n": 1, "v": ' + b"[" * MAX_NESTING + b"5" + b"]" * MAX_NESTING + b"}",
        b'{"n": 1, "v": ' + b"[" * 500 + b"]" * 500 + b"}",
        b'{"n": 1, "_id": {"$x": 1}, "ingestedAt": "long ago"}',
        b"\xef\xbb\xbf" + b'{"n": 1}\r',
    ],
    ids=["NaN", "30 digits", "surrogate", "NUL", "dollars and dots", "deep", "too deep", "own _id", "BOM"],
)  # fmt: skip
def test_mongodb_takes_every_object(log: Path, collection: Documents, odd: bytes) -> None:
    """Whatever an object holds, the server stores it, once."""
    log.write_bytes(odd + b"\n")

    for expected in ({"inserted": 1, "already_there": 0}, {"inserted": 0, "already_there": 1}):
        report = import_logs([log], collection, clock=lambda: FIRST)
        assert {**expected, "incomplete": 0, "unreadable": 0} == counts(report)
    assert [1] == numbers(collection)


def test_documents_of_other_origin_are_left_alone(log: Path, collection: Documents) -> None:
    """What someone else put into the collection stays as it is."""
    other = {"_id": "mine", "n": 9}
    collection.insert_one(other)
    log.write_text(log_line(1))

    import_logs([log], collection, clock=lambda: FIRST)

    assert other == collection.find_one({"_id": "mine"})
    assert [1, 9] == numbers(collection)


def test_ids_are_ordered_by_time(log: Path, collection: Documents) -> None:
    """The `_id`s of the documents carry the times of their lines."""
    log.write_text('{"timestamp": "2025-01-01T00:00:00Z"}\n{"timestamp": "2025-01-02T00:00:00Z"}\n{"n": 3}\n')

    import_logs([log], collection, clock=lambda: FIRST)

    ids: list[ObjectId] = [document["_id"] for document in collection.find().sort("_id")]
    assert [1, 2, 2] == [object_id.generation_time.day for object_id in ids]


def test_a_folder_that_moved_brings_nothing_new(log: Path, collection: Documents, tmp_path: Path) -> None:
    """The same logs under another root are the same logs."""
    log.write_text(log_line(1) + log_line(2))
    import_logs([tmp_path], collection, clock=lambda: FIRST)
    (tmp_path / "projects").rename(tmp_path / "backup")
    moved = tmp_path / "elsewhere" / "projects"
    moved.parent.mkdir()
    (tmp_path / "backup").rename(moved)

    report = import_logs([moved / "-home-me-app"], collection, clock=lambda: SECOND)

    assert {"inserted": 0, "already_there": 2, "incomplete": 0, "unreadable": 0} == counts(report)


def test_a_log_that_may_not_be_read_is_named(log: Path, collection: Documents) -> None:
    """A link out of the folder is reported, the other logs are imported."""
    log.write_text(log_line(1))
    (log.parent / "two.jsonl").symlink_to("/etc/hostname")

    report = import_logs([log.parent], collection, clock=lambda: FIRST)

    assert [
        UnreadableLine(log.parent / "two.jsonl", None, "a symbolic link that leads out of the folder")
    ] == report.unreadable
    assert [1] == numbers(collection)


def test_progress_is_told_up_to_the_end(log: Path, collection: Documents) -> None:
    """The last thing told is that all bytes are done."""
    log.write_text("".join(log_line(number) for number in range(7500)))
    told: list[tuple[int, int]] = []

    def note(progress: ImportProgress) -> None:
        told.append((progress.done_bytes, progress.total_bytes))

    import_logs([log], collection, clock=lambda: FIRST, on_progress=note)

    size = log.stat().st_size
    assert (size, size) == told[-1]
    assert told == sorted(told)
    assert 3 == len(told)


def test_nothing_importable_is_said(tmp_path: Path, collection: Documents) -> None:
    """A wrong path is an error before anything is imported."""
    with pytest.raises(ImportPathError):
        import_logs([tmp_path / "none"], collection, clock=lambda: FIRST)


def test_a_mongodb_that_does_not_answer_is_said(log: Path) -> None:
    """The error is the one that says to try again."""
    log.write_text(log_line(1))
    with (
        MongoClient[dict[str, Any]]("mongodb://127.0.0.1:1", serverSelectionTimeoutMS=200) as client,
        pytest.raises(SourceUnreachableError, match=r"cannot import into `logs\.lines`") as caught,
    ):
        import_logs([log], client.logs.lines, clock=lambda: FIRST)
    assert isinstance(caught.value, AnalyticsError)


def test_every_real_line_becomes_one_document(shared_logs: Path, collection: Documents) -> None:
    """All objects in real logs arrive, each once and equal to its line, also when imported again."""
    expected = []
    for path in sorted(shared_logs.rglob("*.jsonl")):
        for text in path.read_bytes().split(b"\n"):
            if text.strip():
                value = json.loads(text)
                assert isinstance(value, dict)
                expected.append((path.relative_to(shared_logs).as_posix(), json.dumps(value, sort_keys=True)))

    first = import_logs([shared_logs.parent], collection, clock=utc_now)
    second = import_logs([shared_logs], collection, clock=utc_now)

    assert {"inserted": len(expected), "already_there": 0, "incomplete": 0, "unreadable": 0} == counts(first)
    assert {"inserted": 0, "already_there": len(expected), "incomplete": 0, "unreadable": 0} == counts(second)
    found = []
    for document in collection.find({}, {"_id": 0, "ingestedAt": 0}):
        assert document.pop("projectId") == document["sourceFile"].split("/")[0]
        found.append((document.pop("sourceFile"), json.dumps(document, sort_keys=True)))
    assert sorted(found) == sorted(expected)


def test_a_real_conversation_may_be_imported_while_it_grows(
    shared_logs: Path, log: Path, collection: Documents
) -> None:
    """Successive states of one log, imported one after the other, give what the last one holds."""
    snapshots = sorted((shared_logs.parents[1] / "claude-growth").glob("*/*.jsonl"))
    assert snapshots
    for snapshot in snapshots:
        log.write_bytes(snapshot.read_bytes())
        import_logs([log], collection, clock=utc_now)
    final = [text for text in snapshots[-1].read_bytes().split(b"\n") if text.strip()]

    report = import_logs([log], collection, clock=utc_now)

    assert 0 == report.inserted
    assert collection.count_documents({}) >= len(final)
