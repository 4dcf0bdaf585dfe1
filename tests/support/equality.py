"""Proves that the warehouse holds exactly what the collection holds, document by document."""

from collections.abc import Mapping
from typing import Any

from bson.codec_options import CodecOptions
from pymongo.collection import Collection

from stream.core.change_event import CODEC_OPTIONS
from stream.core.normalise import DeadLetter, normalise
from stream.core.schema import RAW_CONVERSATIONS_COLUMNS, Row
from stream.warehouse.warehouse import Warehouse

_MICROSECONDS_PER_DAY = 86_400_000_000
_INSTANTS = ("timestamp", "ingested_at")
_OF_THE_JOURNEY = {"extracted_at", "source_version", "micro_batch_id"}
"""Columns that tell how a row came here, not what the document says."""


def expected_rows(
    collection: Collection[dict[str, Any]],
) -> tuple[dict[str, dict[str, Any]], list[DeadLetter]]:
    """Return the columns that each document of a collection must have in the warehouse, by `_id`."""
    options: CodecOptions[dict[str, Any]] = CODEC_OPTIONS
    rows: dict[str, dict[str, Any]] = {}
    dead_letters: list[DeadLetter] = []
    for document in collection.with_options(codec_options=options).find():
        found = normalise(document, source_version=0, extracted_at=0)
        if isinstance(found, DeadLetter):
            dead_letters.append(found)
        else:
            rows[found.id] = _columns(found)
    return rows, dead_letters


def _columns(row: Row) -> dict[str, Any]:
    values = row._asdict()
    columns = {name: values["id" if name == "_id" else name] for name in _compared()}
    for name in ("message_raw", "extra"):
        if columns[name] is not None:
            columns[name] = columns[name].decode()
    if row.timestamp is None and row.ingested_at is None:
        columns["date"] = "of extraction"
    return columns


def _compared() -> list[str]:
    return [name for name in RAW_CONVERSATIONS_COLUMNS if name not in _OF_THE_JOURNEY]


def warehouse_rows(warehouse: Warehouse, *, timeout_seconds: float = 10) -> dict[str, dict[str, Any]]:
    """Read `raw.conversations` in the same form; two rows with one `_id` are an error."""
    selected = ", ".join(
        f'epoch_us("{name}")'
        if name in _INSTANTS
        else f"(\"{name}\" - date '1970-01-01')::bigint"
        if name == "date"
        else f'"{name}"::varchar'
        if name in ("message_raw", "extra")
        else f'"{name}"'
        for name in _compared()
    )
    with warehouse.opened(timeout_seconds=timeout_seconds) as connection:
        found = connection.execute(f"select {selected}, epoch_us(extracted_at) from raw.conversations")
        rows = [(dict(zip(_compared(), row[:-1], strict=True)), row[-1]) for row in found.fetchall()]
    by_id: dict[str, dict[str, Any]] = {}
    for columns, extracted_at in rows:
        assert columns["_id"] not in by_id, f"two rows of one document: {columns['_id']}"
        if columns["timestamp"] is None and columns["ingested_at"] is None:
            assert extracted_at // _MICROSECONDS_PER_DAY == columns["date"]
            columns["date"] = "of extraction"
        by_id[columns["_id"]] = columns
    return by_id


def assert_same(collection: Collection[dict[str, Any]], warehouse: Warehouse) -> int:
    """Compare all documents with all rows, column by column; give their number.

    What cannot become a row must not be one. Times and version of the journey are not compared.
    """
    expected, dead_letters = expected_rows(collection)
    actual = warehouse_rows(warehouse)
    assert not {letter.document_id for letter in dead_letters} & actual.keys()
    assert sorted(expected) == sorted(actual), _difference(expected, actual)
    different = {key: (expected[key], actual[key]) for key in expected if expected[key] != actual[key]}
    assert {} == different
    return len(actual)


def _difference(expected: Mapping[str, Any], actual: Mapping[str, Any]) -> str:
    missing, extra = sorted(expected.keys() - actual.keys()), sorted(actual.keys() - expected.keys())
    return f"missing {len(missing)}: {missing[:5]}, extra {len(extra)}: {extra[:5]}"


def assert_manifest_is_sound(warehouse: Warehouse) -> None:
    """Check that every landed micro-batch is in the manifest once, and nothing else is."""
    landed = sorted(micro_batch.id for micro_batch in warehouse._landing.micro_batches())
    with warehouse.opened(timeout_seconds=10) as connection:
        loaded = connection.execute("select micro_batch_id from raw.micro_batches order by 1").fetchall()
    assert landed == [micro_batch_id for (micro_batch_id,) in loaded]
