"""Speed of the build: wholly, and after 1,000 new lines, with little and with much history."""

import os
import time
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pytest
from rich.console import Console
from rich.table import Table

from batch import shipped
from stream.core.schema import RAW_CONVERSATIONS_COLUMNS
from tests.support.marts import MartsWarehouse, documents_of
from tests.support.paths import SHARED

pytestmark = pytest.mark.bench
HISTORIES = [int(lines) for lines in os.environ.get("BENCH_DBT_LINES", "100000,1000000").split(",")]
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
NEW_LINES = 1_000

# One copy of all logs a day: other ids throughout, in the order of time as the loader has them.
COPIED = {
    "_id": "printf('%08x', ('0x' || left(_id, 8))::bigint + copy * 86400) || right(md5(_id || copy), 16)",
    "session_id": "session_id || '-' || copy",
    "uuid": "uuid || '-' || copy",
    "source_file": "replace(source_file, '.jsonl', '-' || copy || '.jsonl')",
    "timestamp": "timestamp + to_days(copy::integer)",
    "date": "date + copy::integer",
    "message_raw": "replace(replace(message_raw::varchar, '\"id\":\"msg_', '\"id\":\"msg_' || copy || '_'), "
    "'toolu_', 'toolu_' || copy || '_')::json",
    "extra": "replace(regexp_replace(extra::varchar, '(\"leafUuid\":\"[^\"]+)', '\\1-' || copy), "
    "'\"id\":\"msg_', '\"id\":\"msg_' || copy || '_')::json",
}


@dataclass(frozen=True)
class Took:
    """Seconds by the clock, and of all processors together."""

    wall: float
    cpu: float

    def __str__(self) -> str:
        """For a table."""
        return f"{self.wall:.1f} s ({self.cpu:.1f} s of processors)"


def build(warehouse: MartsWarehouse) -> Took:
    started, started_cpu = time.monotonic(), time.process_time()
    warehouse.build()
    return Took(time.monotonic() - started, time.process_time() - started_cpu)


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a warehouse file with the real logs, or the sample where there are none."""
    shared = SHARED / "claude" / "projects"
    warehouse = MartsWarehouse(tmp_path_factory.mktemp("logs"))
    warehouse.change(documents_of(shared if shared.is_dir() else shipped.sample_logs()))
    return warehouse.path


def multiply(logs: Path, warehouse: MartsWarehouse, lines: int) -> int:
    """Fill a warehouse with copies of the logs, about so many lines; give how many."""
    columns = ", ".join(f'{COPIED.get(name, name)} as "{name}"' for name in RAW_CONVERSATIONS_COLUMNS)
    with warehouse.warehouse.opened(timeout_seconds=5) as connection:
        connection.execute(f"attach '{logs}' as logs (read_only)")
        [own] = connection.execute("select count(*) from logs.raw.conversations").fetchone() or [0]
        for first in range(0, lines // own, 10):
            last = min(first + 10, lines // own)
            connection.execute(
                f"insert into raw.conversations select {columns} from logs.raw.conversations "
                f"cross join range({first}, {last}) as copies (copy) order by 1"
            )
        connection.execute("insert into raw.loads values (1, now(), 1, 0, 0, true)")
        [count] = connection.execute("select count(*) from raw.conversations").fetchone() or [0]
    return int(count)


def add_lines(warehouse: MartsWarehouse, number: int) -> None:
    """Let some conversations of the whole history go on: 1,000 new lines in about eight of them."""
    with warehouse.warehouse.opened(timeout_seconds=5) as connection:
        [load_id] = connection.execute("select max(load_id) + 1 from raw.loads").fetchone() or [1]
        connection.execute(
            f"""
            create temp table arriving as
            select * replace (
                left(_id, 8) || right(md5(_id || '{number}'), 16) as _id,
                uuid || '-{number}' as uuid,
                timestamp + interval 1 hour as timestamp,
                replace(message_raw::varchar, '"id":"msg_', '"id":"msg_{number}_')::json as message_raw
            )
            from raw.conversations
            where session_id in (
                select session_id from raw.conversations where session_id is not null
                group by session_id having count(*) between 50 and 300
                order by md5(session_id || '{number}') limit 10
            )
            limit {NEW_LINES}
            """
        )
        connection.execute("insert into raw.conversations select * from arriving")
        connection.execute(f"insert into raw.loads values ({load_id}, now(), 1, {NEW_LINES}, 0, false)")
        connection.execute(
            f"insert into raw.changed_lines select distinct {load_id}, session_id, source_file, uuid, "
            "json_extract_string(message_raw, '$.id') from arriving"
        )


def test_builds(logs: Path, tmp_path: Path) -> None:
    """Lines per second of a full build, and what an incremental one costs with ten times the history."""
    table = Table(
        "lines",
        "full build",
        "nothing new",
        "lines/s after start-up",
        f"{NEW_LINES:,} new lines (best of {ROUNDS})",
        "times the first",
        title=f"dbt build with all checks, DuckDB {duckdb.__version__}, 2 threads",
    )
    first: Took | None = None
    for history in HISTORIES:
        warehouse = MartsWarehouse(tmp_path / str(history), artifacts=tmp_path)
        lines = multiply(logs, warehouse, history)
        warehouse.project.invoke(warehouse.project.arguments("parse"))
        full = build(warehouse)
        nothing = min((build(warehouse) for _ in range(ROUNDS)), key=lambda took: took.wall)
        rounds = []
        for number in range(ROUNDS):
            add_lines(warehouse, number)
            rounds.append(build(warehouse))
        incremental = min(rounds, key=lambda took: took.wall)
        first = first or incremental
        table.add_row(
            f"{lines:,}",
            str(full),
            str(nothing),
            f"{lines / (full.wall - nothing.wall):,.0f}",
            str(incremental),
            f"{incremental.wall / first.wall:.2f} ({incremental.cpu / first.cpu:.2f} of processors)",
        )
    Console(width=160).print(table)
