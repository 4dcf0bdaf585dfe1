"""The program as a user runs it: its output, its exit code; as a process where that matters."""

import json
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import duckdb
import pytest
from pymongo import MongoClient
from pymongo.collection import Collection

from tests.support.patience import patience
from tests.support.program import Program

pytestmark = pytest.mark.integration
SECRET = "nobody-may-see-this"  # noqa: S105
ONE_SCREEN_LINES = 12


@pytest.fixture
def program(tmp_path: Path, mongo_uri: str, collection: Collection[dict[str, Any]]) -> Program:
    return Program(
        tmp_path,
        MONGO_URI=mongo_uri,
        MONGO_DB=collection.database.name,
        STREAM_MAX_AGE_SECONDS="0.2",
        DUCKDB_LEASE_TIMEOUT_SECONDS="2",
        MONGO_CONNECT_TIMEOUT_SECONDS="2",
    )


def landed_files(program: Program) -> list[Path]:
    return sorted((program.folder / "data" / "landing").rglob("*.parquet"))


def wait_until_streaming(process: "subprocess.Popen[str]") -> None:
    assert process.stderr is not None
    for line in process.stderr:
        if "stream_started" in line:
            return
    pytest.fail("the worker has not started")


def refused(result: "subprocess.CompletedProcess[str]", code: int, *words: str) -> None:
    """Check that a command ended as it should, with a message that fits on one screen and helps."""
    message = result.stderr
    assert (code, True) == (result.returncode, "what to do:" in message), message
    flat = " ".join(message.split())
    for word in words:
        assert word in flat, message
    assert "Traceback" not in message
    assert SECRET not in result.stdout + message
    errors = message[message.index("error:") :]
    assert len(errors.splitlines()) <= ONE_SCREEN_LINES, errors


def test_a_wrong_setting_is_named(program: Program) -> None:
    """A setting that does not fit ends with exit code 2 and its name."""
    refused(program.call("status", BATCH_SIZE="many"), 2, "`BATCH_SIZE`")


def test_a_wrong_uri_is_refused_without_its_password(program: Program) -> None:
    """A MONGO_URI that is none ends with exit code 2; its password is shown nowhere."""
    refused(program.call("stream", MONGO_URI=f"http://me:{SECRET}@host"), 2, "`MONGO_URI`", "mongodb://")
    refused(program.call("stream", MONGO_URI=f"mongodb://me:{SECRET}@host:port"), 2, "MONGO_URI")


def test_an_unreachable_server_is_worth_another_try(program: Program) -> None:
    """A server that does not answer ends with exit code 1, without the password of the URI."""
    uri = f"mongodb://me:{SECRET}@127.0.0.1:1/?serverSelectionTimeoutMS=500"
    refused(
        program.call("stream", MONGO_URI=uri, MONGO_CONNECT_TIMEOUT_SECONDS="0.5"),
        1,
        "claude-analytics mongo",
    )


def test_a_folder_that_cannot_be_written_is_named(program: Program) -> None:
    """A DATA_DIR below a file ends with exit code 2."""
    (program.folder / "file").write_text("")
    refused(program.call("stream", DATA_DIR=str(program.folder / "file" / "data")), 2, "DATA_DIR")


def test_a_taken_metrics_port_is_named(program: Program) -> None:
    """A port that another program uses ends with exit code 2."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        refused(program.call("stream", METRICS_PORT=str(taken.getsockname()[1])), 2, "METRICS_PORT")


def test_until_idle_catches_up_and_leaves(program: Program, collection: Collection[dict[str, Any]]) -> None:
    """`stream --until-idle` reads what there is, loads it, says so, and exits with 0; `status` agrees."""
    assert 0 == program.run("stream", "--until-idle", "0.3").returncode
    collection.insert_many([{"type": "user", "sessionId": "one"}, {"type": "summary"}, {"no": "type"}])
    result = program.run("stream", "--until-idle", "0.3")
    assert (0, True) == (result.returncode, "3 change events read, 2 rows loaded" in result.stdout), result
    status = json.loads(program.call("status", "--json").stdout)
    assert {"documents": 2, "pending": 0, "dead": 1, "problems": []} == {
        "documents": status["warehouse"]["documents"],
        "pending": status["pending_micro_batches"],
        "dead": status["dead_letters"],
        "problems": status["problems"],
    }
    assert "conversations" in program.call("load", "--stats").stdout


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_a_signal_flushes_and_ends_the_worker(
    program: Program, collection: Collection[dict[str, Any]], number: signal.Signals
) -> None:
    """A signal ends the worker within ten seconds, with what has been read durable, and exit code 128 + n."""
    process = program.start("stream", STREAM_MAX_AGE_SECONDS="600")
    wait_until_streaming(process)
    collection.insert_one({"type": "user"})
    time.sleep(1.5)
    assert [] == landed_files(program)
    process.send_signal(number)
    process.communicate(timeout=patience(10))
    assert 128 + number == process.returncode
    assert 1 == len(landed_files(program))
    with duckdb.connect(program.folder / "data" / "analytics.duckdb") as connection:
        assert [(1,)] == connection.execute("select count(*) from raw.conversations").fetchall()


def test_a_second_worker_is_refused(program: Program) -> None:
    """A second worker on the same folder ends with exit code 2; the first one stays."""
    first = program.start("stream")
    wait_until_streaming(first)
    refused(program.call("stream"), 2, "another process already writes")
    assert "running" in program.call("status").stdout
    first.terminate()
    first.communicate(timeout=patience(10))


def test_a_dropped_collection_may_need_a_person(
    program: Program, collection: Collection[dict[str, Any]]
) -> None:
    """With `--on-drop=stop` a drop ends the worker with exit code 2, each time, until a person decides."""
    program.call("stream", "--until-idle", "0.3")
    collection.insert_one({"type": "user"})
    collection.drop()
    refused(program.call("stream", "--on-drop", "stop"), 2, "`drop`", "--on-drop=delete")
    refused(program.call("stream", "--on-drop", "stop"), 2, "`drop`")
    assert 0 == program.call("stream", "--until-idle", "0.3").returncode
    with duckdb.connect(program.folder / "data" / "analytics.duckdb") as connection:
        assert [(0,)] == connection.execute("select count(*) from raw.conversations").fetchall()


def test_a_replaced_collection_can_be_resnapshot(
    program: Program, collection: Collection[dict[str, Any]]
) -> None:
    """`$out` over the collection stops the worker with exit code 2; told to, it reads what is there now."""
    program.call("stream", "--until-idle", "0.3")
    collection.insert_many([{"_id": number, "type": "user"} for number in range(3)])
    collection.aggregate([{"$match": {"_id": {"$gt": 0}}}, {"$out": collection.name}])
    refused(program.call("stream"), 2, "replaced", "--on-history-lost=resnapshot")

    result = program.call("stream", "--until-idle", "0.3", "--on-history-lost", "resnapshot")

    assert 0 == result.returncode, result
    with duckdb.connect(program.folder / "data" / "analytics.duckdb") as connection:
        found = connection.execute("select _id from raw.conversations order by _id").fetchall()
    assert [("i:1",), ("i:2",)] == found
    assert 0 == program.call("verify").returncode


def test_a_file_that_is_no_database_can_be_rebuilt(
    program: Program, collection: Collection[dict[str, Any]]
) -> None:
    """`load` refuses a DuckDB file that is none with exit code 2; `--full-refresh` sets it aside."""
    program.call("stream", "--until-idle", "0.3")
    collection.insert_one({"type": "user"})
    program.call("stream", "--until-idle", "0.3")
    path = program.folder / "data" / "analytics.duckdb"
    path.write_bytes(b"this is no database" * 1000)
    refused(program.call("load"), 2, "analytics.duckdb", "load --full-refresh")
    result = program.call("load", "--full-refresh")
    assert (0, True) == (result.returncode, "1 micro-batches with 1 rows loaded" in result.stdout), result
    assert 1 == len(list(path.parent.glob("analytics.duckdb.corrupt-*")))


def test_a_held_database_waits(program: Program, collection: Collection[dict[str, Any]]) -> None:
    """A DuckDB file that another program has open ends `load` with exit code 1; nothing is lost."""
    program.call("stream", "--until-idle", "0.3")
    collection.insert_one({"type": "user"})
    code = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('held', flush=True); sys.stdin.read()"
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(program.folder / "data" / "analytics.duckdb")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert holder.stdout is not None
    holder.stdout.readline()
    refused(program.call("stream", "--until-idle", "0.3"), 1, "open", "not lost")
    refused(program.call("load"), 1, "open")
    status = program.call("status")
    assert (1, True) == (status.returncode, "problem" in status.stdout)
    holder.communicate()
    assert "1 micro-batches with 1 rows loaded" in program.call("load").stdout


def test_a_corrupt_micro_batch_is_named(program: Program, collection: Collection[dict[str, Any]]) -> None:
    """A truncated landed file ends `load` with exit code 2 and its path."""
    program.call("stream", "--until-idle", "0.3")
    collection.insert_one({"type": "user"})
    program.call("stream", "--until-idle", "0.3")
    (landed,) = landed_files(program)
    landed.write_bytes(landed.read_bytes()[:-100])
    refused(program.call("load", "--full-refresh"), 2, landed.name)


def test_config_masks_secrets(program: Program) -> None:
    """`config` shows every setting with its origin, and no password."""
    result = program.call("config", MONGO_URI=f"mongodb://me:{SECRET}@host", COLUMNS="200")
    assert (0, False) == (result.returncode, SECRET in result.stdout)
    assert "mongodb://me:***@host" in result.stdout
    for name in ("MONGO_DB", "STREAM_MAX_AGE_SECONDS", "REPORTING_TIMEZONE", "LOG_LEVEL"):
        assert name in result.stdout


def test_mongo_serves_the_other_commands(tmp_path: Path) -> None:
    """`mongo` runs until told to stop; `import` and `stream` with the same DATA_DIR find it by themselves."""
    program = Program(tmp_path)
    log = tmp_path / "logs" / "projects" / "shop" / "one.jsonl"
    log.parent.mkdir(parents=True)
    log.write_text('{"type": "user", "sessionId": "one"}\nnot json\n')
    server = program.start("mongo")
    assert server.stdout is not None
    uri = server.stdout.readline().split()[-1]
    assert 0 == program.call("stream", "--until-idle", "0.3").returncode
    imported = program.call("import", str(tmp_path / "logs"))
    assert "1 new" in imported.stdout
    assert "one.jsonl:2" in "".join(imported.stdout.split())
    assert "1 rows loaded" in program.call("stream", "--until-idle", "0.3").stdout
    with MongoClient[dict[str, Any]](uri) as client:
        assert 1 == client["claude_logs"]["conversations"].count_documents({})
    server.terminate()
    server.communicate(timeout=patience())
    assert 143 == server.returncode


def test_nothing_to_import_is_said(program: Program) -> None:
    """`import` of a folder without logs ends with exit code 2 and the path."""
    (program.folder / "empty").mkdir()
    refused(program.call("import", str(program.folder / "empty")), 2, "empty")
