"""A day in the life of the containers, hour by hour: each test goes on where the one before has ended.

The compose file, the Dockerfiles and the make targets are the real ones; `make containers` runs this. What
each image is made of here says `images.py`.
"""

import json
import os
import re
import shlex
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from batch.mongod.server import free_port
from batch.shipped import sample_logs
from tests.containers.images import COMPOSE, image_of
from tests.containers.platform import PROJECT, CommandFailed, Platform, Receiver, fetched, run
from tests.support.paths import ROOT
from tests.support.patience import patience
from tests.support.streaming import wait_until

pytestmark = pytest.mark.containers

PATIENCE_SECONDS = 300
HEALTHY_SECONDS = 300
DEFAULT = {name for name, service in COMPOSE["services"].items() if "profiles" not in service} | {"mongo"}
PREFECT = {"stream", "mongo", "prefect-server", "prefect-postgres", "prefect-worker"}
PORTS = {"metabase": 3001, "dbt-docs": 8080, "grafana": 3002}
ASK = (
    "import duckdb, os, sys; "
    "connection = duckdb.connect(os.environ['DATA_DIR'] + '/serving/analytics.duckdb', read_only=True); "
    "print(connection.execute(sys.argv[1]).fetchone()[0])"
)


DATA_VOLUMES = {"data": "/data", "landing": "/data/landing", "serving": "/data/serving"}
# Where versions 1 and 2 of cgroups count what was ended for want of memory.
KILLS = "cd /sys/fs/cgroup && cat memory/memory.oom_control 2>/dev/null || cat memory.events"


def published(platform: Platform, query: str) -> str:
    """Ask the published file inside a container that has it."""
    return platform.exec("schedule", "python", "-c", ASK, query).strip()


def proved(platform: Platform) -> str:
    """Compare source and warehouse once the stream has landed all; gives what `verify` says."""
    said = ""

    def is_equal() -> bool:
        nonlocal said
        try:
            said = platform.once("verify")
        except CommandFailed as error:
            said = str(error)
            return False
        return True

    wait_until(is_equal, seconds=PATIENCE_SECONDS)
    return said


def test_it_starts_from_nothing(platform: Platform) -> None:
    """`make up WITH_MONGO=1` makes secrets and replica set; all are healthy within five minutes."""
    platform.build("stream", "metabase", "prefect-worker")
    limit = patience(HEALTHY_SECONDS)
    began = time.monotonic()
    platform.make("up", "WITH_MONGO=1")
    seconds = time.monotonic() - began
    assert seconds < limit
    unhealthy = {name for name in DEFAULT if not platform.is_healthy(name)}
    assert set() == unhealthy, {name: platform.log(name)[-2000:] for name in unhealthy}
    assert DEFAULT == set(platform.containers())
    sys.stdout.write(f"\nmake up, images built: healthy after {seconds:.0f} s\n")
    # Compiled, or documents are read at a tenth of the speed.
    platform.exec("stream", "python", "-c", "import stream.decode._transcribe")


def test_documents_become_published_marts(platform: Platform, tmp_path: Path) -> None:
    """Logs of this machine and documents that are inserted arrive; source and warehouse are equal."""
    platform.make("import", f"LOGS={sample_logs()}")
    platform.insert("first", 40)
    platform.make("run-backfill")
    proved(platform)
    assert "40" == published(
        platform, "select message_count from marts.dim_sessions where session_id = 'first'"
    )
    assert int(published(platform, "select count(*) from marts.dim_sessions")) > 1
    assert "published" in platform.make("status")


def test_nothing_runs_as_root_or_writes_its_root(platform: Platform) -> None:
    """No process of any container, whatever its image is; no capability, limits on all."""
    for name, described in platform.containers().items():
        processes = platform.engine("top", str(described["Name"]), "huser", "capeff").splitlines()[1:]
        assert {"none"} == {line.split()[1] for line in processes}, name
        assert not {"0", "root"} & {line.split()[0] for line in processes}, name
        users = platform.exec(name, "id", "-u").split()
        assert users != ["0"], name
        host = described["HostConfig"]
        assert host["ReadonlyRootfs"], name
        assert "no-new-privileges" in host["SecurityOpt"], name
        assert host["Memory"] > 0, name
        assert host["PidsLimit"] > 0, name
        assert "Read-only file system" in platform.exec(name, "sh", "-c", "touch /etc/x 2>&1; true"), name


def test_only_dashboards_are_reachable(platform: Platform) -> None:
    """On this machine's loopback: Metabase, Grafana, the docs; nothing else has a port."""
    for port in PORTS.values():
        assert 200 == fetched(f"http://127.0.0.1:{port}/" + ("api/health" if port != 8080 else ""))[0]
    bound = {
        name: published
        for name, described in platform.containers().items()
        if (
            published := [
                each
                for bindings in described["HostConfig"]["PortBindings"].values()
                for each in bindings or ()
            ]
        )
    }
    assert bound == {name: [{"HostIp": "127.0.0.1", "HostPort": str(port)}] for name, port in PORTS.items()}


CONNECT = "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), 3)"


@pytest.mark.parametrize(
    ("service", "reached", "closed"),
    [
        ("stream", ["mongo:27017"], ["metabase-postgres:5432", "grafana:3000", "alertmanager:9093"]),
        ("schedule", ["mongo:27017"], ["metabase-postgres:5432", "metabase:3000"]),
        ("dbt-docs", [], ["mongo:27017", "metabase-postgres:5432", "stream:9464"]),
        ("metabase", ["metabase-postgres:5432"], ["mongo:27017", "stream:9464", "prometheus:9090"]),
        ("prometheus", ["stream:9464", "schedule:9466", "alertmanager:9093"], ["mongo:27017"]),
        ("grafana", ["prometheus:9090"], ["mongo:27017", "stream:9464", "metabase-postgres:5432"]),
        ("metabase-postgres", [], ["mongo:27017", "stream:9464", "prometheus:9090"]),
    ],
)
def test_networks_separate_what_they_claim_to(
    platform: Platform, service: str, reached: list[str], closed: list[str]
) -> None:
    """Each reaches what it works with, and has no way to the rest."""
    for address in reached:
        platform.exec(service, "python3", "-c", CONNECT, *address.split(":"))
    for address in closed:
        with pytest.raises(CommandFailed, match=r"not known|timed out|refused|resolution"):
            platform.exec(service, "python3", "-c", CONNECT, *address.split(":"))


def test_a_server_of_the_machine_itself_is_reached(platform: Platform, alerts: Receiver) -> None:
    """By the name that the RUNBOOK gives for a MongoDB there."""
    platform.exec("stream", "python3", "-c", CONNECT, "host.docker.internal", str(alerts.port))


def test_dashboards_are_made_with_addresses_for_a_browser(platform: Platform) -> None:
    """`make dashboards` makes administrator, database and dashboards; again, it changes nothing."""
    first = platform.make("dashboards")
    assert "administrator admin@localhost.localdomain created" in first
    assert "http://localhost:3001/dashboard/" in first
    assert "unchanged" in platform.make("dashboards")
    assert "Picked up JAVA_TOOL_OPTIONS" in platform.log("metabase")


def test_metabase_by_hand_reads_what_its_user_may_read(platform: Platform, tmp_path: Path) -> None:
    """The recipe of deploy/metabase: as the user of the pipeline, whose folders are closed to all others."""
    user, port = 12345, free_port()
    data, own = tmp_path / "data", tmp_path / "metabase-data"
    volume = platform.engine("volume", "inspect", "--format", "{{.Mountpoint}}", f"{PROJECT}_serving").strip()
    shutil.copytree(volume, data / "serving", symlinks=True)
    for folder in (data / "landing", own):
        folder.mkdir()
    for path in (data, own, *data.rglob("*")):
        os.chown(path, user, user, follow_symlinks=False)
    for folder in (tmp_path, *tmp_path.parents):
        if folder.owner() == "root" and folder.stat().st_mode & 0o777 == 0o700:
            folder.chmod(0o711)
    for folder in (data / "serving", data / "landing", own):
        folder.chmod(0o700)
    text = (ROOT / "deploy" / "metabase" / "README.md").read_text(encoding="utf-8")
    (recipe,) = re.findall(r"docker (run -d .*?) metabase-duckdb\n", text, flags=re.DOTALL)
    for written, here in {
        "\\\n": " ",
        "$(id -u):$(id -g)": f"{user}:{user}",
        "$PWD": str(tmp_path),
        ":3000:3000": f":{port}:3000",
    }.items():
        assert written in recipe
        recipe = recipe.replace(written, here)
    platform.engine(*shlex.split(recipe), "claude-analytics-metabase:0.1.0")
    settings = {
        "METABASE_URL": f"http://127.0.0.1:{port}",
        "METABASE_USER": "ana@example.org",
        "METABASE_PASSWORD": "correct horse",
        "DATA_DIR": str(data),
    }
    try:
        said = run(
            [sys.executable, "-c", "from batch.cli import main; main()", "metabase", "sync"],
            env=os.environ | settings | {"PYTHONPATH": str(ROOT)},
            cwd=tmp_path,
        )
        assert "administrator ana@example.org created" in said
        assert "http://localhost:3000/dashboard/" in said
    finally:
        platform.engine("rm", "--force", "metabase")


def test_each_container_comes_back_after_a_crash(platform: Platform) -> None:
    """After kill -9 of its main process it is healthy again by itself; nothing is lost or doubled."""
    platform.insert("crash", 10)
    for name, described in platform.containers().items():
        killed = described["State"]["Pid"]
        os.kill(killed, signal.SIGKILL)
        wait_until(
            lambda name=name, killed=killed: (  # type: ignore[misc]
                platform.containers()[name]["State"]["Pid"] not in {0, killed} and platform.is_healthy(name)
            ),
            seconds=PATIENCE_SECONDS,
        )
    platform.insert("crash-after", 10)
    proved(platform)
    assert "unchanged" in platform.make("dashboards"), "Metabase has forgotten"


def test_a_failed_build_reaches_whoever_is_to_be_told(platform: Platform, alerts: Receiver) -> None:
    """Readers keep the last build; Prometheus sees the failed step, Alertmanager sends it to the receiver."""
    # Waits for the run with which `schedule` began after its crash: that one publishes, too.
    platform.make("run-adhoc")
    build = published(platform, "select build_id from ops.published_build")
    failed = platform.make("run-adhoc", "ARGS=--skip-extract --select no_such_model", expected=2)
    assert "no model matches `no_such_model`" in failed
    assert build == published(platform, "select build_id from ops.published_build")
    wait_until(lambda: "ClaudeAnalyticsStepFailed" in alerts.names("firing"), seconds=PATIENCE_SECONDS)
    status, body = fetched("http://127.0.0.1:3002/proxy/api/v1/alerts")
    assert 200 == status
    assert "ClaudeAnalyticsStepFailed" in body
    platform.make("run-adhoc")
    assert build < published(platform, "select build_id from ops.published_build")


def test_a_rejected_document_is_shown_mended_and_loaded(platform: Platform, alerts: Receiver) -> None:
    """ClaudeAnalyticsDeadLetters: what it is, and what to do, as the RUNBOOK says."""
    platform.mongo(
        'db.conversations.insertMany([{_id: "odd", text: "[odd]"}, {_id: "mended", text: "[odd]"}])'
    )
    wait_until(lambda: len(dead_letters(platform)) == 2, seconds=PATIENCE_SECONDS)
    assert {"missing_type"} == {each["reason"] for each in dead_letters(platform)}
    shown = platform.once("dead-letters", "show", dead_letters(platform)[0]["id"])
    assert '"text": "[odd]"' in shown
    assert "but for 2 rejected documents" in proved(platform)
    wait_until(lambda: "ClaudeAnalyticsDeadLetters" in alerts.names("firing"), seconds=PATIENCE_SECONDS)

    platform.mongo('db.conversations.updateOne({_id: "mended"}, {$set: {type: "user"}})')
    wait_until(lambda: "but for 1 rejected documents" in proved(platform), seconds=PATIENCE_SECONDS)
    # Letters are kept as they were, whatever has become of their documents.
    assert "0 replayed, 2 still rejected" in platform.once("dead-letters", "replay", expected=2)
    assert "2 replayed, 0 still rejected" in platform.once("dead-letters", "replay", "--as-is")
    assert [] == dead_letters(platform)
    platform.mongo('db.conversations.deleteOne({_id: "odd"})')  # or the backfills of other stories reject it
    proved(platform)


def dead_letters(platform: Platform) -> list[dict[str, Any]]:
    """List what was rejected and has no row yet."""
    listed = platform.exec("stream", "claude-analytics", "dead-letters", "list", "--json")
    found: list[dict[str, Any]] = json.loads(listed)
    return found


def test_commands_of_the_runbook_run_in_a_container(platform: Platform) -> None:
    """Each that it names: beside the running services, or where it is a stream's, in its place."""
    text = (ROOT / "deploy" / "RUNBOOK.md").read_text(encoding="utf-8")
    named = {" ".join(each.split()) for each in re.findall(r"`claude-analytics\s+([^`]+)`", text)}
    # The first needs a document that was rejected; dashboards are made by another service; the rest is run by
    # the other stories.
    named -= {"dead-letters show ID", "metabase sync", "verify", "status", "load --full-refresh"}
    named -= {"pipeline", "pipeline --full-refresh"}
    streams = {each for each in named if each.startswith("stream ")}
    assert streams
    for command in sorted(named - streams):
        platform.once(*command.split())
    platform.compose("stop", "stream")
    for command in sorted(streams):
        assert "stopped" in platform.once(*command.split(), "--until-idle", "1")
    platform.compose("start", "stream")
    wait_until(lambda: platform.is_healthy("stream"), seconds=PATIENCE_SECONDS)
    proved(platform)


def test_logs_and_a_shell_are_at_hand(platform: Platform, tmp_path: Path) -> None:
    """`make logs` follows one service, `make shell` takes commands."""
    with platform.started("logs", "SERVICE=stream") as following:
        assert any("claude_analytics" in line or "{" in line for line in following)
    typed = tmp_path / "typed"
    typed.write_text("claude-analytics --version\nexit\n", encoding="utf-8")
    with typed.open("rb") as file:
        assert "claude-analytics 0.1.0" in platform.make("shell", stdin=file)


def test_the_warehouse_is_rebuilt_from_the_landing_zone(platform: Platform) -> None:
    """As the RUNBOOK says, beside the running stream; the full refresh has the same rows."""
    platform.once("load", "--full-refresh")
    platform.insert("meanwhile", 3)
    proved(platform)
    platform.make("run-daily")
    for session, count in {"first": 40, "crash": 10, "meanwhile": 3}.items():
        query = f"select message_count from marts.dim_sessions where session_id = '{session}'"
        assert str(count) == published(platform, query)


def test_what_may_be_deleted_is_made_again(platform: Platform) -> None:
    """ClaudeAnalyticsDiskLow and ClaudeAnalyticsHeadroomLow: what is safe to delete, and a larger oplog."""
    delete = "rm -r dbt gx; cd serving/builds && ls -t | tail -n +2 | xargs --no-run-if-empty rm -r"
    platform.exec("schedule", "sh", "-c", f"cd /data && {delete}")
    build = published(platform, "select build_id from ops.published_build")
    platform.make("run-daily")
    assert build < published(platform, "select build_id from ops.published_build")
    assert "ok: 1" in platform.mongo("db.adminCommand({replSetResizeOplog: 1, size: 4096})")
    assert "oplog" in platform.once("doctor")
    proved(platform)


def test_the_data_moves_to_another_machine(platform: Platform, alerts: Receiver) -> None:
    """Stop both, copy `DATA_DIR`, start there, publish: views name the files of the new place.

    Meanwhile nobody reads here, which is an alert.
    """
    uri = (platform.folder / "deploy" / "secrets" / "mongo_uri").read_text(encoding="utf-8")
    refused = platform.once("stream", expected=2)
    assert "already" in refused, "two workers on one DATA_DIR"
    platform.compose("stop", "schedule", "stream")
    mounts = [f"{PROJECT}_{name}:{path}" for name, path in DATA_VOLUMES.items()]
    copy = ["--user", "0", "--entrypoint", "cp", image_of("stream"), "-a", "/data/.", "/elsewhere"]
    there = ["run", "--network", f"{PROJECT}_source", "--volume", "moved:/elsewhere"]
    platform.engine(*there, "--rm", *(word for each in mounts for word in ("--volume", each)), *copy)
    platform.insert("while-moving", 6)
    platform.insert("moved-today", 6, when="new Date()")
    there += ["--env", "DATA_DIR=/elsewhere", "--env", f"MONGO_URI={uri}"]
    platform.engine(*there, "--detach", "--name", "moved", image_of("stream"))
    try:
        verify = [*there, "--rm", image_of("stream"), "verify"]
        wait_until(
            lambda: "verdict: same" in platform.engine(*verify, expected=None), seconds=PATIENCE_SECONDS
        )
        platform.engine(*there, "--rm", image_of("stream"), "pipeline")
        # Live views show today's documents.
        for query in (
            "select message_count from marts.dim_sessions where session_id = 'while-moving'",
            "select count(*) from live.documents where session_id = 'moved-today'",
        ):
            assert "6" == platform.engine("exec", "moved", "python", "-c", ASK, query).strip()
        wait_until(lambda: "ClaudeAnalyticsTargetDown" in alerts.names("firing"), seconds=PATIENCE_SECONDS)
        assert "published" in platform.make("status")
    finally:
        platform.engine("rm", "--force", "moved")
        platform.engine("volume", "rm", "moved", expected=None)
    # One by one: podman-compose would start both at once, and podman may refuse the one that needs the other.
    for service in ("stream", "schedule"):
        platform.compose("start", service)
    wait_until(lambda: "ClaudeAnalyticsTargetDown" in alerts.names("resolved"), seconds=PATIENCE_SECONDS)
    proved(platform)


def test_limits_of_memory_suffice(platform: Platform) -> None:
    """Capacity: with the limits of the compose file, no process of the day was ended for want of memory."""
    for name, described in platform.containers().items():
        said = platform.engine("logs", "--tail", "20", described["Name"])
        assert ("running", False) == (described["State"]["Status"], described["State"]["OOMKilled"]), said
        assert ["0"] == re.findall(
            r"^oom_kill (\d+)$", platform.exec(name, "sh", "-c", KILLS), re.MULTILINE
        ), name


def test_credentials_are_rotated(platform: Platform) -> None:
    """As the RUNBOOK says: another user of MongoDB by another connection string; Metabase's database."""
    for name in ("least-privilege.js", "least-privilege.json"):
        with (ROOT / "deploy" / "mongo" / name).open("rb") as file:
            put = ["exec", "--interactive", platform.container("mongo"), "tee", f"/tmp/{name}"]
            run([str(platform.home / "engine"), *put], stdin=file)
    # Whoever types the password sits at a terminal.
    typed = "passwordPrompt = () => 'rotated'"
    shell = ["mongosh", "--quiet", "mongodb://mongo:27017/admin", "--eval", typed]
    script = [*shell, "--file", "/tmp/least-privilege.js"]
    assert "user claude_analytics: made" in platform.exec("mongo", *script)
    assert "left alone" in platform.exec("mongo", *script)

    secrets = platform.folder / "deploy" / "secrets"
    (secrets / "mongo_uri").write_text(
        "mongodb://claude_analytics:rotated@mongo:27017/?replicaSet=rs0&authSource=admin"
    )
    before = platform.containers()["stream"]["State"]["Pid"]
    for service in ("stream", "schedule"):
        platform.compose("--profile", "mongo", "restart", service)
    assert platform.containers()["stream"]["State"]["Pid"] not in {0, before}
    config = platform.exec("stream", "env", "COLUMNS=400", "claude-analytics", "config")
    assert "claude_analytics:***@mongo:27017" in config
    wait_until(lambda: platform.is_healthy("stream"), seconds=PATIENCE_SECONDS)
    platform.once("doctor")
    platform.insert("rotated", 4)
    proved(platform)

    platform.exec(
        *("metabase-postgres", "psql", "--host", "/var/run/postgresql", "--username", "metabase"),
        *("--dbname", "metabase", "--command", "alter user metabase password 'another-one'"),
    )
    (secrets / "metabase_postgres_password").write_text("another-one")
    platform.compose("--profile", "mongo", "restart", "metabase")
    wait_until(lambda: platform.is_healthy("metabase"), seconds=PATIENCE_SECONDS)
    assert "unchanged" in platform.make("dashboards")


def test_a_backup_is_restored(platform: Platform) -> None:
    """As the RUNBOOK says: stop, copy, lose the volumes, put back, start; the stream catches up."""
    dumped = ["pg_dump", "--host", "/var/run/postgresql", "--username", "metabase", "metabase"]
    assert "PostgreSQL database dump complete" in platform.exec("metabase-postgres", *dumped)
    tar = [
        "compose",
        "--file",
        "deploy/docker-compose.yml",
        "--profile",
        "manual",
        "run",
        "--rm",
        "--no-deps",
    ]
    tar += ["-T", "--entrypoint", "tar", "analytics-worker"]
    platform.make("down")
    archive = platform.folder / "backup.tar"
    engine = str(platform.home / "engine")
    with archive.open("wb") as written:
        run(
            [engine, *tar, "--create", "--file", "-", "--directory", "/data", "."],
            into=written,
            cwd=platform.folder,
        )
    for volume in ("data", "landing", "serving"):
        platform.engine("volume", "rm", "--force", f"{PROJECT}_{volume}")
    with archive.open("rb") as read:
        run(
            [engine, *tar, "--extract", "--file", "-", "--directory", "/data"],
            stdin=read,
            cwd=platform.folder,
        )
    platform.make("up-core")
    assert {"mongo", "stream", "schedule"} == set(platform.containers())
    platform.make("up")
    assert DEFAULT == set(platform.containers())
    platform.insert("restored", 5)
    proved(platform)
    assert "40" == published(
        platform, "select message_count from marts.dim_sessions where session_id = 'first'"
    )


def test_an_upgrade_keeps_the_volumes(platform: Platform) -> None:
    """`make rebuild` replaces images and containers; documents, dashboards and accounts are as before."""
    before = {described["Id"] for described in platform.containers().values()}
    platform.make("rebuild")
    assert DEFAULT == set(platform.containers())
    assert not before & {described["Id"] for described in platform.containers().values()}
    for name in DEFAULT:
        wait_until(lambda name=name: platform.is_healthy(name), seconds=PATIENCE_SECONDS)  # type: ignore[misc]
    proved(platform)
    assert "unchanged" in platform.make("dashboards")


def test_prefect_takes_the_place_of_schedule(platform: Platform) -> None:
    """Deployments run on a server with PostgreSQL; `make up` then starts no second scheduler."""
    platform.make("down")
    platform.make("up-prefect")
    assert PREFECT == set(platform.containers())
    assert PREFECT - {"prefect-worker"} == {name for name in PREFECT if platform.is_healthy(name)}
    wait_until(lambda: "full-backfill" in platform.make("status"), seconds=PATIENCE_SECONDS)
    listed = platform.make("status")
    for name in ("hourly-analytics", "daily-full-refresh", "adhoc-analytics", "full-backfill"):
        assert name in listed
    platform.insert("prefect", 7)
    proved(platform)
    wanted = ["deployment", "run", "analytics_pipeline/adhoc-analytics", "--watch", "--watch-timeout", "300"]
    platform.exec("prefect-worker", "prefect", *wanted)
    platform.make("deploy")
    platform.exec(
        *("prefect-postgres", "psql", "--host", "/var/run/postgresql", "--username", "prefect"),
        *("--dbname", "prefect", "--command", "alter user prefect password 'another-one'"),
    )
    (platform.folder / "deploy" / "secrets" / "prefect_postgres_password").write_text("another-one")
    platform.compose("--profile", "prefect", "restart", "prefect-server")
    wait_until(lambda: "full-backfill" in platform.make("status", expected=None), seconds=PATIENCE_SECONDS)
    platform.make("up")
    running = {name for name, described in platform.containers().items() if described["State"]["Running"]}
    assert "schedule" not in running
    assert DEFAULT - {"schedule"} | PREFECT == running
    for name in ("prefect-server", "prefect-worker", "prefect-postgres"):
        described: dict[str, Any] = platform.containers()[name]
        assert described["HostConfig"]["ReadonlyRootfs"], name
        assert platform.exec(name, "id", "-u").split() != ["0"], name


def test_down_leaves_nothing_but_data(platform: Platform) -> None:
    """Neither containers nor networks; the volumes stay."""
    platform.make("down")
    assert {} == platform.containers()
    networks = json.loads(platform.engine("network", "ls", "--format", "json"))
    assert ["podman"] == [each["name"] for each in networks]
    volumes = platform.engine("volume", "ls", "--format", "{{.Name}}").split()
    lake = {name for name in COMPOSE["volumes"] if name.startswith("lake")}  # of a profile that was never up
    assert {f"{PROJECT}_{name}" for name in COMPOSE["volumes"].keys() - lake} <= set(volumes)
