"""The tables of `raw` in Iceberg, and how they are made.

    raw.landed         one row per change that has landed: the landed files themselves, registered, no copy
    raw.documents      the last change of each document, with deletions (tombstones) and truncate markers
    raw.conversations  what readers and dbt see of it, as in DuckDB: a view
    raw.loads, raw.changed_lines, raw.micro_batches     as in DuckDB
    ops.published_builds                                which build is current: see `batch.lake.builds`

`raw.documents` is kept in buckets of the key, and a change of a row is written beside it (merge-on-read): the
cost of a load follows what changed. The summary of the snapshot that a load commits says what it loaded: rows
and position cannot part.
"""

from stream.core.schema import LANDING_SCHEMA, RAW_CONVERSATIONS_COLUMNS

SCHEMA_VERSION = 1
"""Of these tables; a property of `raw.documents`."""
VERSION_PROPERTY = "claude-analytics.schema-version"
BUCKETS = 16

_KINDS = {
    "string": "string",
    "int64": "bigint",
    "date32[day]": "date",
    "timestamp[us, tz=UTC]": "timestamp",
}
LANDED = {field.name: _KINDS[str(field.type)] for field in LANDING_SCHEMA}
"""Columns of a landed file, in Spark's types."""
DOCUMENTS = LANDED | {"micro_batch_id": "string"}
_MERGE_ON_READ = {f"write.{each}.mode": "merge-on-read" for each in ("merge", "update", "delete")}
_PUBLISHED = {
    "sequence": "bigint",
    "build_id": "string",
    "published_at": "timestamp",
    "table_schema": "string",
    "table_name": "string",
    "table_uuid": "string",
    "snapshot_id": "bigint",
}
_NOTES = {
    "loads": {
        "load_id": "bigint",
        "loaded_at": "timestamp",
        "micro_batches": "bigint",
        "rows_upserted": "bigint",
        "rows_deleted": "bigint",
        "is_bulk": "boolean",
    },
    "changed_lines": {
        "load_id": "bigint",
        "session_id": "string",
        "source_file": "string",
        "uuid": "string",
        "message_id": "string",
    },
    "micro_batches": {
        "micro_batch_id": "string",
        "lane": "string",
        "sequence": "bigint",
        "rows": "bigint",
        "upserts": "bigint",
        "deletes": "bigint",
        "dead_letters": "bigint",
        "first_cluster_time": "bigint",
        "last_cluster_time": "bigint",
        "landed_at": "timestamp",
        "load_id": "bigint",
        "loaded_at": "timestamp",
    },
}


def statements(catalog: str) -> list[str]:
    """Return what makes every table that is not there yet; doing it again changes nothing.

    Args:
        catalog: In which; names have three parts: of two, Iceberg takes the schema for a catalog at first.
    """
    raw = f"{catalog}.raw"
    documents = _table(f"{raw}.documents", DOCUMENTS)
    properties = {"format-version": "3", VERSION_PROPERTY: str(SCHEMA_VERSION)} | _MERGE_ON_READ
    conversations = ", ".join(f"`{name}`" for name in RAW_CONVERSATIONS_COLUMNS)
    made = [
        f"create namespace if not exists {raw}",
        f"create namespace if not exists {catalog}.ops",
        _table(f"{raw}.landed", LANDED),
        f"{documents} partitioned by (bucket({BUCKETS}, _id)) tblproperties ({_pairs(properties)})",
    ]
    made += [_table(f"{raw}.{name}", columns) for name, columns in _NOTES.items()]
    made.append(_table(f"{catalog}.ops.published_builds", _PUBLISHED))
    view = f"select {conversations} from {raw}.documents where op = 'upsert'"
    return [*made, f"create or replace view {raw}.conversations as {view}"]


def _table(name: str, columns: dict[str, str]) -> str:
    kinds = ", ".join(f"`{column}` {kind}" for column, kind in columns.items())
    return f"create table if not exists {name} ({kinds}) using iceberg"


def _pairs(properties: dict[str, str]) -> str:
    return ", ".join(f"'{name}' = '{value}'" for name, value in properties.items())
