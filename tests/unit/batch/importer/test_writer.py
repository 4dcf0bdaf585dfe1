"""Batches of documents: sent once, kept until confirmed, counted by what became of them."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import pytest
from bson.objectid import ObjectId
from bson.raw_bson import RawBSONDocument
from pymongo.errors import AutoReconnect, BulkWriteError, OperationFailure

from batch.importer.document import Unreadable
from batch.importer.report import MAX_LISTED, ImportReport, UnreadableLine
from batch.importer.tail import LogLine
from batch.importer.writer import Documents, DocumentWriter
from stream.errors import AccessDeniedError, SourceUnreachableError, StepFailedError

LOG = Path("/logs/app/one.jsonl")


class ACollection:
    """A collection in memory that fails when told to."""

    full_name = "logs.lines"

    def __init__(self, *failures: Exception) -> None:
        self.ids: list[ObjectId] = []
        self.asked = 0
        self._failures = list(failures)

    def find(self, query: dict[str, Any], _projection: object) -> Iterator[dict[str, Any]]:
        """Look up `_id`s."""
        self.asked += 1
        wanted = query["_id"]["$in"]
        return ({"_id": object_id} for object_id in wanted if object_id in self.ids)

    def insert_many(self, documents: Sequence[RawBSONDocument], *, ordered: bool) -> None:
        """Take documents, or fail as told."""
        assert not ordered
        if self._failures:
            raise self._failures.pop(0)
        errors = []
        for index, document in enumerate(documents):
            if document["_id"] in self.ids:
                errors.append({"index": index, "code": 11000, "errmsg": "duplicate key"})
            elif document.get("bad"):
                errors.append({"index": index, "code": 121, "errmsg": "Document failed validation"})
            else:
                self.ids.append(document["_id"])
        if errors:
            raise BulkWriteError({"writeErrors": errors, "writeConcernErrors": []})


def line(number: int, **fields: object) -> LogLine:
    return LogLine(LOG, number, 100, {"_id": ObjectId(f"{number:024x}"), **fields})


def counted(report: ImportReport) -> tuple[int, int, int]:
    return report.inserted, report.already_there, report.unreadable_count


def write(collection: ACollection, lines: Sequence[LogLine], *, batch: int) -> ImportReport:
    report = ImportReport()
    with DocumentWriter(cast("Documents", collection), report) as writer:
        for start in range(0, len(lines), batch):
            for one in lines[start : start + batch]:
                writer.add(one)
            writer.flush()
        writer.finish()
    return report


def test_every_document_is_inserted() -> None:
    """Over several batches each document is sent once, without asking for what is there first."""
    collection = ACollection()

    report = write(collection, [line(number) for number in range(10)], batch=3)

    assert (10, 0, 0) == counted(report)
    assert 10 == len(collection.ids)
    assert 0 == collection.asked


def test_known_documents_are_asked_for_once_that_pays() -> None:
    """After batches that were there already, the next ones are looked up instead of refused."""
    collection = ACollection()
    lines = [line(number) for number in range(12)]
    write(collection, lines[:9], batch=3)

    report = write(collection, lines, batch=3)

    assert (3, 9, 0) == counted(report)
    assert 2 == collection.asked


@pytest.mark.parametrize("batch", [1, 3, 10])
def test_a_failed_batch_is_sent_again(batch: int) -> None:
    """After an outage the same call once more loses nothing and doubles nothing."""
    collection = ACollection(AutoReconnect("down"), AutoReconnect("still down"))
    report = ImportReport()
    lines = [line(number) for number in range(10)]
    outages = 0
    with DocumentWriter(cast("Documents", collection), report) as writer:
        for start in range(0, len(lines), batch):
            for one in lines[start : start + batch]:
                writer.add(one)
            is_written = False
            while not is_written:
                try:
                    writer.finish()
                    is_written = True
                except SourceUnreachableError:
                    outages += 1

    assert 2 == outages
    assert (10, 0, 0) == counted(report)
    assert 10 == len(collection.ids)


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ({"bad": True}, "refused by MongoDB: Document failed validation"),
        ({"v": 2**70}, "no BSON: OverflowError"),
    ],
    ids=["refused by the server", "no BSON"],
)
def test_a_document_that_cannot_be_inserted_is_named(bad: dict[str, Any], reason: str) -> None:
    """With file, line and the kind of the problem, not with its content; its neighbours are inserted."""
    report = write(ACollection(), [line(1), line(2, **bad), line(3)], batch=3)

    assert (2, 0, 1) == counted(report)
    assert [UnreadableLine(LOG, 2, reason)] == report.unreadable


@pytest.mark.parametrize(
    ("failure", "expected"),
    [
        (OperationFailure("not authorized", 13), AccessDeniedError),
        (BulkWriteError({"writeErrors": [], "writeConcernErrors": [{"code": 64}]}), StepFailedError),
    ],
    ids=["access denied", "not replicated in time"],
)
def test_a_refused_batch_is_an_error(failure: Exception, expected: type[Exception]) -> None:
    """What concerns the whole batch ends the import."""
    with pytest.raises(expected, match=r"cannot import into `logs\.lines`"):
        write(ACollection(failure), [line(1)], batch=1)


def test_empty_and_open_lines_are_counted_only() -> None:
    """An empty line is nothing; a half-written last line is incomplete."""
    lines = [LogLine(LOG, 1, 1, None), LogLine(LOG, 2, 5, None, is_open=True)]

    report = write(ACollection(), lines, batch=2)

    assert (0, 1, (0, 0, 0)) == (report.lines, report.incomplete, counted(report))


def test_a_report_does_not_grow_for_ever() -> None:
    """Of a million bad lines the first are named, all are counted."""
    lines = [LogLine(LOG, number, 1, Unreadable("not JSON")) for number in range(MAX_LISTED + 5)]

    report = write(ACollection(), lines, batch=100)

    assert (MAX_LISTED, MAX_LISTED + 5) == (len(report.unreadable), report.unreadable_count)
