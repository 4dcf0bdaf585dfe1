"""The program in place of Metabase's JAR: the stand-in of the tests, as strict at its start as the real one.

It reads secrets from its environment alone, as the JAR does; keeps what it holds in PostgreSQL, and does not
start without its password, or with another encryption key than before; unpacks drivers into its folder of
plugins, and without leave to write there it has no DuckDB driver; it listens on its loopback unless
MB_JETTY_HOST says more.
"""

import hashlib
import os
import pickle
import signal
import sys
from pathlib import Path
from typing import Any

import psycopg2

from tests.support.metabase_server import Metabase, metabase_server

_KEPT = ("users", "sessions", "is_tracking", "databases", "collections", "cards", "dashboards", "_ids")
_KEY_CHARACTERS = 16


class Kept(Metabase):
    """What the server holds, in PostgreSQL after each change."""

    def __init__(self, connection: Any) -> None:
        super().__init__()
        self._connection = connection
        self._execute("create table if not exists held (key_hash text, state bytea)")
        key = os.environ.get("MB_ENCRYPTION_SECRET_KEY", "")
        if len(key) < _KEY_CHARACTERS:
            sys.exit("MB_ENCRYPTION_SECRET_KEY must be at least 16 characters")
        self._key_hash = hashlib.sha256(key.encode()).hexdigest()
        for key_hash, state in self._execute("select key_hash, state from held"):
            if key_hash != self._key_hash:
                sys.exit(
                    "Database was encrypted with another key than the MB_ENCRYPTION_SECRET_KEY environment"
                )
            vars(self).update(pickle.loads(state))  # noqa: S301 - our own

    def answer(self, method: str, path: str, query: dict[str, str], headers: Any, body: Any) -> Any:
        """Answer, then keep what has changed."""
        answered = super().answer(method, path, query, headers, body)
        if method != "GET":
            state = pickle.dumps({name: getattr(self, name) for name in _KEPT})
            self._execute("delete from held")
            self._execute("insert into held values (%s, %s)", (self._key_hash, psycopg2.Binary(state)))
        return answered

    def _execute(self, text: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        with self._connection, self._connection.cursor() as cursor:
            cursor.execute(text, values)
            return list(cursor.fetchall()) if cursor.description else []


def main() -> None:
    """Start, and serve until a signal ends it."""
    settings = os.environ
    if settings.get("MB_DB_TYPE") == "postgres":
        connection = psycopg2.connect(
            host=settings["MB_DB_HOST"],
            port=settings["MB_DB_PORT"],
            dbname=settings["MB_DB_DBNAME"],
            user=settings["MB_DB_USER"],
            password=settings.get("MB_DB_PASS", ""),
        )
        metabase: Metabase = Kept(connection)
    else:
        # Its own H2 database lies in a file.
        Path(settings["MB_DB_FILE"] + ".mv.db").touch()
        metabase = Metabase()
    plugins = Path(settings.get("MB_PLUGINS_DIR", "plugins"))
    try:
        (plugins / "sqlserver.metabase-driver.jar").write_bytes(b"brought along")
        has_driver = (plugins / "duckdb.metabase-driver.jar").is_file()
    except OSError:
        has_driver = False
    metabase.engines = [*(["duckdb"] if has_driver else []), "postgres"]
    metabase.site_url = settings.get("MB_SITE_URL")
    host = settings.get("MB_JETTY_HOST", "localhost")
    with metabase_server(metabase, host=host, port=int(settings.get("MB_JETTY_PORT", "3000"))):
        sys.stdout.write("Metabase Initialization COMPLETE\n")
        sys.stdout.flush()
        signal.sigwait({signal.SIGTERM, signal.SIGINT})


if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    main()
