"""Lets Great Expectations ask DuckDB: a SQLAlchemy dialect whose cursors keep their own results.

Great Expectations reads a result after it has given the connection back. In `duckdb_engine` all cursors share
one DuckDB connection, which forgets a result as soon as anything else is asked. Here each cursor has a
connection of its own to the same open file: results stay, and are fetched as they are read.
"""

import weakref
from contextlib import suppress
from typing import Any, ClassVar

import duckdb
from duckdb_engine import ConnectionWrapper, CursorWrapper, Dialect
from sqlalchemy.dialects import registry

URL_SCHEME = "duckdb+gate"


class _Connection(ConnectionWrapper):
    """One open file; hands out independent cursors, and closes them all with itself."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        super().__init__(connection)
        self._connection = connection
        self._cursors: list[duckdb.DuckDBPyConnection] = []

    def cursor(self) -> CursorWrapper:
        """Return a cursor whose results stay until the file is closed."""
        cursor = self._connection.cursor()
        self._cursors.append(cursor)
        return CursorWrapper(cursor, self)

    def interrupt(self) -> None:
        """End the query under way, with an error."""
        for cursor in (self._connection, *self._cursors):
            with suppress(duckdb.Error):  # closed in this very moment
                cursor.interrupt()

    def close(self) -> None:
        """Close the file: whoever wants it next is not to find it open."""
        while self._cursors:
            cursor = self._cursors.pop()
            with suppress(duckdb.ConnectionException):  # closed by whoever asked
                cursor.close()
        super().close()


class GateDialect(Dialect):
    """DuckDB as `duckdb_engine` speaks it, with cursors that keep their results."""

    supports_statement_cache = False
    _opened: ClassVar["weakref.WeakSet[_Connection]"] = weakref.WeakSet()

    def connect(self, *cargs: Any, **cparams: Any) -> Any:  # noqa: ANN401 - SQLAlchemy's own
        """Open the file."""
        # SQLAlchemy calls this by name, from the URL; the query part of it has settings of DuckDB.
        settings = cparams.pop("url_config", {})
        connection = _Connection(duckdb.connect(*cargs, **cparams | {"config": dict(settings)}))
        self._opened.add(connection)
        return connection

    @classmethod
    def interrupt_all(cls) -> None:
        """End the queries of every file that is open."""
        for connection in list(cls._opened):
            connection.interrupt()

    @classmethod
    def close_all(cls) -> None:
        """Close every file that is still open, whichever engine of Great Expectations opened it."""
        for connection in list(cls._opened):
            connection.close()


def register() -> None:
    """Make `duckdb+gate:///…` known to SQLAlchemy."""
    registry.register("duckdb.gate", __name__, GateDialect.__name__)
