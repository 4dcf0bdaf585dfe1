"""The doctor with a real server, real files and a real warehouse."""

import json
import socket
from pathlib import Path
from typing import Any

import duckdb
import pytest
from pymongo import MongoClient
from pymongo.collection import Collection
from typer.testing import CliRunner

from batch.cli.app import app
from batch.doctor.check import Check
from batch.doctor.examine import Doctor
from batch.doctor.facts import Address
from stream.clock import utc_now
from stream.landing.dead_letters import DeadLetterStore
from stream.landing.zone import LandingZone
from stream.settings import DataSettings, MongoSettings
from tests.support.landing import land, position_at, upsert
from tests.support.streaming import StreamRunner

pytestmark = pytest.mark.integration

NO_SERVER = MongoSettings(
    MONGO_URI="mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=200", MONGO_CONNECT_TIMEOUT_SECONDS=0.2
)


def examine(stream: StreamRunner, **options: Any) -> dict[str, Check]:
    data = DataSettings(DATA_DIR=stream.folder)
    doctor = Doctor(
        mongo=options.pop("mongo", stream.mongo),
        data_dir=stream.folder,
        landing=LandingZone(data.landing_dir, clock=utc_now),
        dead_letters=DeadLetterStore(data.dead_letter_dir, clock=utc_now),
        warehouse=stream.warehouse,
        addresses=options.pop("addresses", ()),
    )
    return {check.name: check for check in doctor.examine()}


def levels(checks: dict[str, Check]) -> dict[str, str]:
    """Return the lines that are not ok.

    How full the disk is, and how fast the tests before wrote to the server, is not the test's business.
    """
    others = {"disk", "oplog"}
    return {name: check.level for name, check in checks.items() if check.level != "ok" and name not in others}


@pytest.fixture
def filled(stream: StreamRunner, collection: Collection[dict[str, Any]]) -> StreamRunner:
    stream.take_position()
    collection.insert_many([{"type": "user"}, {"no": "type"}])
    stream.catch_up()
    return stream


def test_a_new_platform_is_ok(stream: StreamRunner) -> None:
    """Before the first start there is no collection yet, all else is well, and looking leaves nothing."""
    assert {"collection": "warn"} == levels(examine(stream))
    assert not stream.folder.exists()


def test_a_used_platform(filled: StreamRunner) -> None:
    """A stopped worker and dead letters are worth a look; the position can be continued from."""
    checks = examine(filled)
    assert {"stream": "warn", "dead letters": "warn"} == levels(checks)
    assert "can go on from there" in checks["position"].text
    assert "about 2 documents" in checks["find"].text
    assert "has not the stage" in checks["large events"].text
    assert "at this rate of writing" in checks["oplog"].text
    assert "1 micro-batches; all read" in checks["landing zone"].text


def test_a_server_that_is_down_leaves_the_rest(filled: StreamRunner) -> None:
    """Without MongoDB its line fails, and this machine is looked at all the same."""
    checks = examine(filled, mongo=NO_SERVER)
    assert {"source": "fail", "stream": "warn", "dead letters": "warn"} == levels(checks)
    assert {"landing zone", "warehouse", "lease"} < checks.keys()


def test_damaged_files_fail(filled: StreamRunner) -> None:
    """A landed file with a flipped bit and a DuckDB file that is none fail, each in its line."""
    (landed,) = filled.lane.micro_batches()
    content = bytearray(landed.path.read_bytes())
    content[50] ^= 1
    landed.path.write_bytes(content)
    filled.warehouse.path.write_bytes(b"this is no database" * 1000)
    found = levels(examine(filled))
    assert ("fail", "fail") == (found["landing zone"], found["warehouse"])


def test_a_foreign_position_fails(filled: StreamRunner, tmp_path: Path) -> None:
    """A landing zone of another cluster is refused."""
    other = StreamRunner(filled.mongo, tmp_path / "other")
    land(other.folder, [upsert(1, 5)], position=position_at(5))
    assert "fail" == levels(examine(other))["position"]


def test_a_held_warehouse_is_named(filled: StreamRunner) -> None:
    """While another process has the lease, the line says who took it."""
    with filled.warehouse.lock.held(timeout_seconds=1):
        checks = examine(filled)
    assert ("warn", True) == (checks["lease"].level, "process" in checks["lease"].text)


def test_a_taken_port_is_found(stream: StreamRunner) -> None:
    """A port that somebody listens on cannot be had for metrics; a free one can."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        found = examine(stream, addresses=[Address("METRICS_PORT", "127.0.0.1", port)])
    assert {"collection": "warn", "port": "warn"} == levels(found)
    free = examine(stream, addresses=[Address("METRICS_PORT", "127.0.0.1", port)])
    assert {"collection": "warn"} == levels(free)


def test_a_folder_below_a_file_fails(stream: StreamRunner) -> None:
    """A DATA_DIR that can never be made is found before anything is written."""
    stream.folder.parent.mkdir(parents=True, exist_ok=True)
    stream.folder.write_text("")
    assert "fail" == levels(examine(stream))["folder"]


def test_the_command_ends_with_2_if_a_line_fails(
    filled: StreamRunner,
    collection: Collection[dict[str, Any]],
    clean_environment: object,
    monkeypatch: pytest.MonkeyPatch,
    mongo_uri: str,
) -> None:
    """`doctor` exits with 0 while nothing fails, then with 2; with `--json` the lines are data."""
    monkeypatch.setenv("MONGO_URI", mongo_uri)
    monkeypatch.setenv("MONGO_DB", collection.database.name)
    monkeypatch.setenv("DATA_DIR", str(filled.folder))
    monkeypatch.setenv("METRICS_PORT", "0")
    sound = CliRunner().invoke(app, ["doctor"])
    assert (0, True) == (sound.exit_code, "0 failed" in sound.stdout), sound.stdout
    assert "→ start one: `claude-analytics stream`" in sound.stdout
    with duckdb.connect(filled.warehouse.path) as connection:
        connection.execute("insert into main.claude_analytics_schema values (99)")
    result = CliRunner().invoke(app, ["doctor", "--json"])
    failed = [each["name"] for each in json.loads(result.stdout) if each["level"] == "fail"]
    assert (2, ["warehouse"]) == (result.exit_code, failed)


def test_looking_does_not_write_to_the_source(
    filled: StreamRunner, collection: Collection[dict[str, Any]], mongo_uri: str
) -> None:
    """No cursor stays open on the server, and no document is changed."""
    before = list(collection.find())
    with MongoClient[dict[str, Any]](mongo_uri) as client:
        opened = client.admin.command("serverStatus")["metrics"]["cursor"]["open"]["total"]
        examine(filled)
        assert opened == client.admin.command("serverStatus")["metrics"]["cursor"]["open"]["total"]
    assert before == list(collection.find())
