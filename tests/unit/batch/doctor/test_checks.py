"""What the doctor makes of what it sees."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from batch.doctor.check import Check
from batch.doctor.facts import Address, LocalFacts, Server, SourceFacts
from batch.doctor.machine_checks import judge_machine
from batch.doctor.source_checks import judge_source, unreachable
from batch.probe import LandingFacts, WarehouseFacts
from stream.core.normalise import DeadLetter
from stream.core.position import Position
from stream.errors import (
    AccessDeniedError,
    HistoryLostError,
    MicroBatchCorruptError,
    PositionMismatchError,
    SchemaTooNewError,
    SourceUnreachableError,
    StepFailedError,
    WarehouseBusyError,
)
from stream.landing.dead_letters import StoredDeadLetter
from stream.landing.micro_batch import MicroBatch
from stream.source.client import Oplog
from tests.support.landing import position_at

NOW = 1_767_225_600
DAY = 86_400
POSITION = position_at((NOW - 60) << 31)
SERVER = Server("7.0.4", "rs0", is_sharded=False, skew_seconds=0.01)
SOURCE = SourceFacts(
    namespace="claude_logs.conversations",
    server=SERVER,
    documents=12_345,
    majority_problem=None,
    snapshot_problem=None,
    stream_problem=None,
    resume_problem=None,
    has_split_stage=True,
    has_partitions=True,
    has_images=False,
    oplog=Oplog(NOW - 3 * DAY, NOW, 1.0),
)
LANDING = LandingFacts(
    is_streaming=True,
    position=POSITION,
    position_problem=None,
    landed_problem=None,
    letters=(),
    landed=tuple(MicroBatch(Path("x"), "stream", number) for number in range(3)),
    sizes=(1, 1, 1),
)
LETTER = StoredDeadLetter("stream/x#0", "2026-01-01", DeadLetter("bad_message", "", None, "{}"))
WAREHOUSE = WarehouseFacts(
    path=Path("/data/analytics.duckdb"), exists=True, duckdb_version="1.5.5", problem=None, pending=0
)
LOCAL = LocalFacts(
    now=datetime.fromtimestamp(NOW, tz=UTC),
    data_dir=Path("/data"),
    unwritable=None,
    free_bytes=50_000_000_000,
    landing=LANDING,
    checked=3,
    corrupt=(),
    warehouse=WAREHOUSE,
    addresses=(Address("METRICS_PORT", "127.0.0.1", 9464), Address("BACKFILL_METRICS_PORT", "127.0.0.1", 0)),
)


def of_source(position: Position | None = POSITION, **changes: Any) -> dict[str, Check]:
    return {check.name: check for check in judge_source(replace(SOURCE, **changes), position)}


def of_machine(**changes: Any) -> dict[str, Check]:
    return {check.name: check for check in judge_machine(replace(LOCAL, **changes))}


def test_a_sound_platform_is_ok() -> None:
    """When nothing is amiss every line is ok, and none asks for anything."""
    checks = [*of_source().values(), *of_machine().values()]
    assert {("ok", None)} == {(check.level, check.fix) for check in checks}
    assert [
        "source",
        "clock",
        "proven",
        "collection",
        "majority",
        "find",
        "changeStream",
        "snapshot",
        "large events",
        "partitions",
        "images",
        "oplog",
        "position",
        "folder",
        "disk",
        "stream",
        "landing zone",
        "dead letters",
        "lease",
        "warehouse",
        "port",
    ] == [check.name for check in checks]


def landing(**changes: Any) -> dict[str, Any]:
    return {"landing": replace(LANDING, **changes)}


def warehouse(**changes: Any) -> dict[str, Any]:
    return {"warehouse": replace(WAREHOUSE, **changes)}


REFUSED = AccessDeniedError("cannot do it", hint="grant it")
LOST = HistoryLostError("gone", hint="begin again")
FOREIGN = PositionMismatchError("another", hint="point it back")
UNTRIED = StepFailedError("no luck", hint="try again")
SOURCES: dict[str, tuple[dict[str, Any], str, str, str]] = {
    "a lone server": ({"server": replace(SERVER, set_name=None)}, "source", "fail", "replSet"),
    "a clock ahead": ({"server": replace(SERVER, skew_seconds=9)}, "clock", "warn", "NTP"),
    "a clock behind": ({"server": replace(SERVER, skew_seconds=-9)}, "clock", "warn", "NTP"),
    "no find": ({"majority_problem": REFUSED}, "find", "fail", "grant it"),
    "no change stream": ({"stream_problem": REFUSED}, "changeStream", "fail", "grant it"),
    "no snapshots": ({"snapshot_problem": REFUSED}, "snapshot", "warn", "majority"),
    "an unseen oplog": ({"oplog": None}, "oplog", "warn", "grant `find` on `local.oplog.rs`"),
    "a short oplog": ({"oplog": Oplog(NOW - 7200, NOW, 1.0)}, "oplog", "warn", "replSetResizeOplog"),
    "an end near": ({"oplog": Oplog(NOW - 90, NOW, 0.9)}, "oplog", "warn", "start the stream worker now"),
    "a view": ({"collection_problem": REFUSED}, "collection", "fail", "grant it"),
    "a slip of the pen": ({"is_missing": True}, "collection", "warn", "upper and lower case"),
    "a lost majority": ({"confirmation_problem": REFUSED}, "majority", "fail", "grant it"),
    "an option without effect": ({"ignored_options": ("none",)}, "connection", "warn", "MONGO_URI"),
    "keys nobody hashes": ({"has_partitions": False}, "partitions", "warn", "leave STREAM_PARTITIONS at 1"),
    "a lost position": ({"resume_problem": LOST}, "position", "fail", "begin again"),
    "a foreign position": ({"resume_problem": FOREIGN}, "position", "fail", "point it back"),
    "a position nobody could try": ({"resume_problem": UNTRIED}, "position", "warn", "try again"),
}
BAD = MicroBatchCorruptError("bad", hint="move it away")
NEWER = SchemaTooNewError("newer", hint="upgrade")
HELD = WarehouseBusyError("held", hint="wait")
MACHINES: dict[str, tuple[dict[str, Any], str, str, str]] = {
    "a folder that cannot be written": ({"unwritable": Path("/data")}, "folder", "fail", "DATA_DIR"),
    "no space": ({"free_bytes": 1_000_000}, "disk", "fail", "free some space"),
    "little space": ({"free_bytes": 1_000_000_000}, "disk", "warn", "free some space"),
    "no worker": (landing(is_streaming=False), "stream", "warn", "claude-analytics stream"),
    "no position": (landing(position=None, position_problem=BAD), "stream", "fail", "move it away"),
    "damaged files": ({"corrupt": (BAD, BAD)}, "landing zone", "fail", "move it away"),
    "dead letters": (landing(letters=(LETTER,) * 4), "dead letters", "warn", "dead-letters list"),
    "unreadable dead letters": (landing(letters=None), "dead letters", "fail", "dead_letter/"),
    "files that wait": (warehouse(pending=2), "pending", "warn", "load"),
    "a newer warehouse": (warehouse(problem=NEWER, pending=None), "warehouse", "fail", "upgrade"),
    "a held warehouse": (warehouse(problem=HELD, pending=None), "lease", "warn", "wait"),
}


@pytest.mark.parametrize(
    ("checks", "name", "level", "fix"),
    [
        (of(**changes), *said)
        for of, those in ((of_source, SOURCES), (of_machine, MACHINES))
        for changes, *said in those.values()
    ],
    ids=[*SOURCES, *MACHINES],
)
def test_what_is_amiss(checks: dict[str, Check], name: str, level: str, fix: str) -> None:
    """Each defect makes its own line warn or fail, says what to do, and leaves the others ok."""
    assert (level, True) == (checks[name].level, fix in (checks[name].fix or "")), checks[name]
    assert {name} == {each.name for each in checks.values() if each.level != "ok"}


RECORDED = "splitting events above 16 MB on recorded replies"
SHARDED = replace(SERVER, set_name=None, is_sharded=True)
NEAR = {"is_missing": True, "names_near": ("claude_logs.conversations", "logs.conversations")}


@pytest.mark.parametrize(
    ("changes", "name", "level", "said"),
    [
        ({"oplog": Oplog(NOW - 120, NOW, 0.01)}, "oplog", "ok", ""),
        ({"oplog": Oplog(NOW - 3 * DAY, NOW, 1.0)}, "oplog", "ok", "for 3 d at this rate"),
        ({"server": SHARDED}, "source", "ok", "sharded"),
        (NEAR, "collection", "warn", "there is `claude_logs.conversations` or `logs.conversations`"),
        ({"server": replace(SERVER, version="6.0.5")}, "proven", "ok", f"tested on MongoDB 6.0; {RECORDED}"),
        ({"server": replace(SERVER, version="8.0.1")}, "proven", "ok", f"not on 8.0; {RECORDED}"),
    ],
    ids=[
        "a new oplog drops nothing",
        "how long the position stays",
        "behind `mongos` there is no set name",
        "names near",
        "a tested version",
        "an untested version",
    ],
)
def test_what_is_told_of_the_source(changes: dict[str, Any], name: str, level: str, said: str) -> None:
    """What is fine though it looks odd, and what helps whoever reads the line."""
    check = of_source(**changes)[name]
    assert (level, True) == (check.level, said in check.text), check


def test_what_cannot_be_seen_is_left_out_or_said() -> None:
    """Without privileges some lines are missing, and the version is said to be unknown."""
    unseen = dict.fromkeys(["documents", "has_split_stage", "has_partitions", "has_images", "oplog"])
    checks = of_source(None, server=replace(SERVER, version=""), **unseen)
    assert {
        *("source", "clock", "proven", "collection", "majority"),
        *("find", "changeStream", "snapshot", "oplog"),
    } == checks.keys()
    assert "not on this version" in checks["proven"].text
    assert "may not be seen" in checks["source"].text


def test_before_the_first_start_nothing_is_missing() -> None:
    """Neither a position nor a DuckDB file is asked of a platform that never ran."""
    checks = of_machine(
        landing=replace(LANDING, position=None, is_streaming=False),
        warehouse=replace(WAREHOUSE, exists=False, pending=None),
    )
    assert {"ok"} == {check.level for check in checks.values()}
    assert "lease" not in checks


@pytest.mark.parametrize(
    ("setting", "is_streaming", "level"),
    [("METRICS_PORT", True, "ok"), ("METRICS_PORT", False, "warn"), ("BACKFILL_METRICS_PORT", True, "warn")],
)
def test_a_taken_port(setting: str, is_streaming: bool, level: str) -> None:  # noqa: FBT001 - a case
    """A port in use is fine if the running worker is the one that uses it."""
    address = Address(setting, "127.0.0.1", 9464, "address already in use")
    check = of_machine(addresses=(address,), landing=replace(LANDING, is_streaming=is_streaming))["port"]
    assert (level, level == "warn") == (check.level, check.fix is not None)


def test_a_server_that_is_down_fails_one_line() -> None:
    """Nothing can be asked of it, which is one line with what to do."""
    (check,) = unreachable(SourceUnreachableError("no answer", hint="start it"))
    assert Check("source", "fail", "no answer", "start it") == check
    assert {"name": "source", "level": "fail", "text": "no answer", "fix": "start it"} == check.to_json()
