"""Rows of a table in the landing zone's columns, as `normalise` gives them."""

import pyarrow as pa

from stream.core.schema import LANDING_SCHEMA, Row

_JSON = {"message_raw", "extra"}


def rows_of(table: pa.Table) -> list[Row]:
    """Return the rows of columns of `LANDING_SCHEMA`: the inverse of `to_table`."""
    columns = []
    for field in LANDING_SCHEMA:
        column = table[field.name]
        if pa.types.is_timestamp(field.type):
            column = column.cast(pa.int64())
        elif pa.types.is_date32(field.type):
            column = column.cast(pa.int32())
        values = column.to_pylist()
        if field.name in _JSON:
            values = [each if each is None else each.encode() for each in values]
        columns.append(values)
    return [Row(*values) for values in zip(*columns, strict=True)]
