"""The same models on another engine: PostgreSQL builds the same rows from the same documents."""

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from bson.objectid import ObjectId

from batch import shipped
from tests.support.marts import MARTS, MartsWarehouse, documents_of

psycopg2 = pytest.importorskip("psycopg2")
pgserver = pytest.importorskip("pgserver", reason="no PostgreSQL for this platform on PyPI")
execute_values = pytest.importorskip("psycopg2.extras").execute_values

pytestmark = pytest.mark.integration

PROFILE = """
claude_analytics:
  target: other
  outputs:
    other:
      {{type: postgres, host: "{host}", port: 5432, user: postgres, password: "", dbname: postgres,
       schema: main, threads: 1}}
"""


class Postgres:
    """A PostgreSQL server of this test's own, filled with the raw tables of a DuckDB warehouse."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._server = pgserver.get_server(folder / "postgres")
        self._uri = self._server.get_uri()
        host = self._uri.split("host=")[1]
        (folder / "profiles.yml").write_text(PROFILE.format(host=host))

    def take_raw_of(self, warehouse: MartsWarehouse) -> None:
        """Replace schema `raw` by that of a warehouse."""
        with psycopg2.connect(self._uri) as connection, connection.cursor() as cursor:
            cursor.execute("drop schema if exists raw cascade; create schema raw")
            for table in ("conversations", "loads", "changed_lines"):
                columns = warehouse.rows(
                    "select column_name, data_type from information_schema.columns "
                    "where table_schema = 'raw' and table_name = ? order by ordinal_position",
                    [table],
                )
                kinds = {"VARCHAR": "text", "JSON": "json"}
                definition = ", ".join(f'"{name}" {kinds.get(kind, kind)}' for name, kind in columns)
                cursor.execute(f"create table raw.{table} ({definition})")
                execute_values(
                    cursor, f"insert into raw.{table} values %s", warehouse.rows(f"select * from raw.{table}")
                )
        connection.close()

    def build(self, *options: str) -> None:
        """Build the marts, with all checks and the project's unit tests unless options leave them out."""
        dbt = Path(sys.executable).with_name("dbt")
        arguments = ["build", "--project-dir", shipped.dbt_project(), "--profiles-dir", self._folder]
        environment = os.environ | {
            "DBT_TARGET_PATH": str(self._folder / "target"),
            "DBT_LOG_PATH": str(self._folder / "logs"),
        }
        outcome = subprocess.run(
            [dbt, *arguments, *options], env=environment, capture_output=True, text=True, check=False
        )
        assert 0 == outcome.returncode, outcome.stdout[-4000:]

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Ask the server."""
        with psycopg2.connect(self._uri) as connection, connection.cursor() as cursor:
            cursor.execute("set timezone = 'UTC'")
            cursor.execute(query)
            rows: list[tuple[Any, ...]] = cursor.fetchall()
        connection.close()
        return rows

    def stop(self) -> None:
        """End the server."""
        self._server.cleanup()


@pytest.fixture
def postgres(tmp_path: Path) -> Iterator[Postgres]:
    server = Postgres(tmp_path)
    yield server
    server.stop()


def comparable(value: object) -> object:
    """Return a value in a form that both drivers agree on."""
    if isinstance(value, float | Decimal):
        return round(float(value), 9)
    return value.astimezone(UTC) if isinstance(value, datetime) else value


def marts_of(source: MartsWarehouse | Postgres) -> dict[str, set[tuple[object, ...]]]:
    return {
        mart: {tuple(map(comparable, row)) for row in source.rows(f"select * from marts.{mart}")}
        for mart in MARTS
    }


def test_another_engine_builds_the_same_marts(
    postgres: Postgres, tmp_path: Path, sample_marts: MartsWarehouse
) -> None:
    """Row for row, in a first build and in an incremental one."""
    warehouse = sample_marts.copied(tmp_path / "duckdb")
    postgres.take_raw_of(warehouse)
    postgres.build()
    assert [] == differing(marts_of(postgres), marts_of(warehouse))
    documents = documents_of(shipped.sample_logs())
    again = [document | {"_id": ObjectId(f"{n:024x}")} for n, document in enumerate(documents[1:400:2])]
    warehouse.change(again, deletes=[document["_id"] for document in documents[2:200:2]])
    warehouse.build_unchecked()
    postgres.take_raw_of(warehouse)
    postgres.build("--exclude-resource-types", "test", "unit_test")
    assert [(0,)] == postgres.rows("select count(*) from ops.model_builds where whole_sequence = sequence")
    assert [] == differing(marts_of(postgres), marts_of(warehouse))


def differing(these: dict[str, set[Any]], those: dict[str, set[Any]]) -> list[str]:
    return [mart for mart in MARTS if these[mart] != those[mart]]
