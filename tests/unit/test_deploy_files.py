"""What must be true of compose file, image, units and operators' targets; no engine is needed."""

import os
import re
import shutil
import stat
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from batch.settings import MetabaseSettings, PipelineSettings
from stream.settings import MetricsSettings
from tests.support.paths import ROOT

DEPLOY = ROOT / "deploy"
COMPOSE_TEXT = (DEPLOY / "docker-compose.yml").read_text(encoding="utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load(COMPOSE_TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
OURS = {name for name, service in SERVICES.items() if str(service["image"]).startswith("claude-analytics")}
PROGRAMS = [
    *("stream", "schedule", "analytics-worker", "dbt-docs", "metabase-sync", "prefect-worker"),
]
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))


def test_the_version_is_the_same_everywhere() -> None:
    """The image's label and the tags of what is built here name the version of the package."""
    label = re.search(r'image\.version="([^"]+)"', (DEPLOY / "Dockerfile").read_text(encoding="utf-8"))
    assert label
    tags = {str(SERVICES[name]["image"]).partition(":")[2] for name in OURS}
    assert {VERSION} == {label[1], *tags}


def test_only_dashboards_are_published() -> None:
    """Metabase, docs, Grafana, on this machine unless told otherwise; Prefect's server never elsewhere."""
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert {
        "metabase": ["${BIND_ADDRESS:-127.0.0.1}:3001:3000"],
        "dbt-docs": ["${BIND_ADDRESS:-127.0.0.1}:8080:8080"],
        "grafana": ["${BIND_ADDRESS:-127.0.0.1}:3002:3000"],
        "prefect-server": ["127.0.0.1:4200:4200"],
    } == published


def test_networks_lead_out_only_where_they_must() -> None:
    """Whoever only keeps data or metrics is in internal networks alone."""
    open_networks = {name for name, network in COMPOSE["networks"].items() if not network.get("internal")}
    assert {"source", "dashboards", "receiver"} == open_networks
    secluded = {
        name for name, service in SERVICES.items() if not open_networks & set(service.get("networks", ()))
    }
    lake = {"lake-catalog", "lake-store", "lake-spark-master", "lake-spark-worker"}
    assert secluded == {"prometheus", "metabase-postgres", "prefect-postgres"} | lake


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_is_bounded_and_unprivileged(name: str) -> None:
    """It comes back after a crash, has limits, rotates its logs, and gains no privilege."""
    service = SERVICES[name]
    assert service["restart"] == ("no" if name == "analytics-worker" else "unless-stopped")
    assert {"max-size": "10m", "max-file": "5"} == service["logging"]["options"]
    assert ["ALL"] == service["cap_drop"]
    assert ["no-new-privileges:true"] == service["security_opt"]
    assert {"cpus", "memory", "pids"} == set(service["deploy"]["resources"]["limits"])


@pytest.mark.parametrize("name", SERVICES)
def test_every_root_is_read_only_and_nobody_is_root(name: str) -> None:
    """Services write their volumes and /tmp; those whose image would begin as root are given its user."""
    service = SERVICES[name]
    assert service["read_only"] is True
    # Images of Prometheus, Alertmanager and Grafana name a user of their own; so do ours.
    begins_as_root = str(service["image"]).startswith(("postgres:", "mongo:"))
    assert not begins_as_root or service["user"] in {"70:70", "999:999"}
    assert "cap_add" not in service


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_program_sees_the_same_volumes_everywhere(name: str) -> None:
    """All of its processes do, and a MongoDB on the machine itself has a name on Linux, too."""
    service = SERVICES[name]
    assert ["host.docker.internal:host-gateway"] == service["extra_hosts"]
    assert ["data:/data", "landing:/data/landing", "serving:/data/serving"] == service["volumes"]


def test_metabase_reads_what_is_served_and_nothing_else() -> None:
    """The views name files by path: they lie where the program wrote them, and cannot be written."""
    assert [
        "serving:/data/serving:ro",
        "landing:/data/landing:ro",
        "metabase-work:/metabase/work",
    ] == SERVICES["metabase"]["volumes"]


def test_the_memory_of_metabase_adds_up() -> None:
    """Java's heap, DuckDB's share and 500 MB for the rest of Java fit into the limit; DuckDB can spill."""
    service = SERVICES["metabase"]
    limit = int(service["deploy"]["resources"]["limits"]["memory"].removesuffix("G")) * 1000
    share = int(service["environment"]["JAVA_TOOL_OPTIONS"].partition("=")[2]) / 100
    duckdb = int(MetabaseSettings().memory_limit.removesuffix("GB")) * 1000
    assert share * limit + duckdb + 500 <= limit
    spills_to = SERVICES["metabase-sync"]["environment"]["METABASE_DUCKDB_TEMP_DIRECTORY"]
    assert Path("/metabase/work") in Path(spills_to).parents


def test_metabase_says_where_a_browser_finds_it() -> None:
    """Its links begin with the published port, and it listens for others than itself."""
    environment = SERVICES["metabase"]["environment"]
    assert environment["MB_SITE_URL"].endswith(":-http://localhost:3001}")
    assert "0.0.0.0" == environment["MB_JETTY_HOST"]  # noqa: S104 - inside its container


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_waits_for_what_can_tell_its_health(name: str) -> None:
    """`service_healthy` needs a health check, of the service or of our image."""
    for needed, how in SERVICES[name].get("depends_on", {}).items():
        if how["condition"] == "service_healthy":
            check = SERVICES[needed].get("healthcheck", {} if needed in OURS else {"disable": True})
            assert not check.get("disable")


@pytest.mark.parametrize("kind", ["networks", "secrets", "volumes"])
def test_what_is_declared_is_what_is_used(kind: str) -> None:
    """The schema knows no references: a misspelt name would show at the first start."""
    used = {
        str(each).partition(":")[0]
        for service in SERVICES.values()
        for each in service.get(kind, ())
        if not str(each).startswith(".")
    }
    assert used == set(COMPOSE[kind])


def test_services_depend_on_services() -> None:
    """Each is there, and not in a profile of its own unless it may be missing."""
    for service in SERVICES.values():
        for needed, how in service.get("depends_on", {}).items():
            profiles = SERVICES[needed].get("profiles", [])
            assert profiles == service.get("profiles", []) or not profiles or not how.get("required", True)


def test_health_checks_ask_the_port_that_is_listened_at() -> None:
    """The ports in image and compose file are the defaults of the settings."""
    dockerfile = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
    stream, schedule = MetricsSettings().port, PipelineSettings().metrics_port
    assert f'health.py", "{stream}"]' in dockerfile
    assert SERVICES["schedule"]["healthcheck"]["test"][-1] == str(schedule)
    assert f"EXPOSE {stream} {schedule} 8080" in dockerfile


def test_secrets_are_files(tmp_path: Path) -> None:
    """No service has a secret in its environment; `secrets.sh` makes every file the compose file names."""
    for service in SERVICES.values():
        for name, value in (service.get("environment") or {}).items():
            if re.search("PASS|SECRET_KEY|_URI|TOKEN", name):
                assert str(value).startswith("/run/secrets/"), name
        for text in service.get("entrypoint", ()):
            assert not re.search(r"PASSWORD=(?!\$\$\(cat /run/secrets/)", text)
    made = _run_secrets(tmp_path / "secrets", WITH_MONGO="1")
    assert 0 == made.returncode, made.stderr
    named = {Path(secret["file"]) for secret in COMPOSE["secrets"].values()}
    # Two that the S3 client finds in its environment, as Amazon's tools do.
    named.add(Path("secrets/lake_store.env"))
    assert {Path("secrets") / path.name for path in (tmp_path / "secrets").iterdir()} == named
    assert 0o700 == stat.S_IMODE((tmp_path / "secrets").stat().st_mode)


def test_secrets_stay_as_they_are(tmp_path: Path) -> None:
    """A second run makes nothing anew: databases know the first ones."""
    _run_secrets(tmp_path, WITH_MONGO="1")
    before = {path.name: path.read_text() for path in tmp_path.iterdir()}
    again = _run_secrets(tmp_path)
    assert (0, "") == (again.returncode, again.stdout)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == before
    assert len(set(before.values())) == len(before)


def test_without_a_connection_string_it_asks(tmp_path: Path) -> None:
    """It does not guess which MongoDB is meant."""
    asked = _run_secrets(tmp_path)
    assert 2 == asked.returncode
    assert "make up WITH_MONGO=1" in asked.stderr


def _run_secrets(folder: Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    kept = {"PATH": os.environ["PATH"]}
    return subprocess.run(
        [DEPLOY / "secrets.sh", folder], env=kept | environment, capture_output=True, text=True, check=False
    )


def test_secrets_are_neither_committed_nor_sent_to_the_engine() -> None:
    """Both git and the build context leave them out."""
    ignored = (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
    assert {"/deploy/secrets/", ".env"} <= set(ignored)
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert "*" in lines
    allowed = {line[1:] for line in lines if line.startswith("!")}
    assert not {each for each in allowed if each in {"deploy", "deploy/secrets", ".env", "data"}}


def test_variables_of_the_compose_file_are_explained() -> None:
    """Every `${NAME}` is in `.env.example`, but `$${NAME}` is of a shell in the container."""
    named = set(re.findall(r"(?<!\$)\$\{(\w+)", COMPOSE_TEXT))
    example = (DEPLOY / ".env.example").read_text(encoding="utf-8")
    assert named <= set(re.findall(r"^#?(\w+)=", example, flags=re.MULTILINE))


def test_folders_that_are_mounted_or_built_exist() -> None:
    """An engine would make a missing one, empty and root's."""
    needed = {
        part.partition(":")[0]
        for service in SERVICES.values()
        for part in service.get("volumes", ())
        if part.startswith(".")
    }
    built = {
        Path(service["build"]["context"], service["build"].get("dockerfile", "Dockerfile"))
        for service in SERVICES.values()
        if "build" in service
    }
    assert [] == [str(each) for each in {*needed, *built} if not (DEPLOY / each).exists()]


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_units_are_sound_and_hardened(unit: Path, tmp_path: Path) -> None:
    """Without a complaint of systemd, which rates their exposure as low."""
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("SKIPPED: systemd-analyze is not installed, the units are not verified")
    copy = tmp_path / unit.name
    text = unit.read_text(encoding="utf-8")
    copy.write_text(re.sub(r"^ExecStart=\S+", f"ExecStart={sys.executable}", text, flags=re.MULTILINE))
    verified = subprocess.run([analyze, "verify", copy], capture_output=True, text=True, check=False)
    assert (0, "") == (verified.returncode, verified.stderr)
    dropped_in = tmp_path / f"{unit.name}.d"
    dropped_in.mkdir()
    shutil.copy(DEPLOY / "systemd" / "before-251.conf", dropped_in)
    older = subprocess.run([analyze, "verify", copy], capture_output=True, text=True, check=False)
    assert (0, "") == (older.returncode, older.stderr)
    rated = subprocess.run(
        [analyze, "security", "--offline=true", "--threshold=20", copy],
        capture_output=True,
        text=True,
        check=False,
    )
    assert 0 == rated.returncode, rated.stdout[-300:]


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_units_do_not_repeat_what_a_person_must_mend(unit: Path) -> None:
    """Exit code 2 stops the unit, 143 is a clean end."""
    lines = unit.read_text(encoding="utf-8").splitlines()
    assert {"Restart=on-failure", "RestartPreventExitStatus=2", "SuccessExitStatus=143"} <= set(lines)


TARGETS = ["up", "up-core", "up-prefect", "down", "rebuild", "logs", "status", "run-adhoc"]
TARGETS += ["dashboards", "import", "run-backfill", "run-daily", "shell", "fresh", "deploy"]


def _make(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [shutil.which("make") or "make", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("target", TARGETS)
def test_without_an_engine_the_targets_say_so(target: str) -> None:
    """They name the two ways out, and touch nothing."""
    made = _make(target, "DOCKER=false")
    assert 2 == made.returncode
    assert "`false compose` does not run here" in made.stderr
    assert "honcho start" in made.stderr


def test_an_engine_that_does_not_answer_is_named(tmp_path: Path) -> None:
    """A client without its engine is another problem than no client."""
    client = tmp_path / "client"
    client.write_text('#!/bin/sh\n[ "$1" = compose ]\n')
    client.chmod(0o755)
    made = _make("status", f"DOCKER={client}")
    assert 2 == made.returncode
    assert "its engine does not answer" in made.stderr


def test_fresh_asks_first() -> None:
    """Nothing is deleted by a word alone."""
    made = _make("fresh", "DOCKER=true")
    assert 2 == made.returncode
    assert "make fresh CONFIRM=yes" in made.stderr


@pytest.fixture
def engine(tmp_path: Path) -> "Engine":
    """Return an engine that writes down what it is asked."""
    return Engine(tmp_path)


class Engine:
    """A program that answers as a container engine does, and starts nothing.

    Attributes:
        path: Of the program.
        runs_prefect: Whether a worker of Prefect runs on it.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / "engine"
        self._log = folder / "asked"
        self._prefect = folder / "prefect-runs"
        self.path.write_text(
            "#!/bin/sh\n"
            f'case "$*" in "ps "*prefect-worker) cat {self._prefect} 2>/dev/null; exit 0;; esac\n'
            f'case "$*" in "compose version"|info) ;; *) echo "$@" >>{self._log};; esac\n'
        )
        self.path.chmod(0o755)

    @property
    def runs_prefect(self) -> bool:
        """Whether a worker of Prefect runs."""
        return self._prefect.exists()

    @runs_prefect.setter
    def runs_prefect(self, runs: bool) -> None:
        if runs:
            self._prefect.write_text("4f5e\n")

    def make(self, *arguments: str) -> list[str]:
        """Make a target; gives what was asked of compose, without the words that are always there."""
        made = _make("--no-print-directory", f"DOCKER={self.path}", *arguments)
        assert 0 == made.returncode, made.stderr
        lines = self._log.read_text().splitlines()
        self._log.unlink()
        beginning = "compose --file deploy/docker-compose.yml "
        assert all(line.startswith(beginning) for line in lines), lines
        return [line.removeprefix(beginning).strip() for line in lines]


def test_up_makes_secrets_and_starts_the_profile(engine: Engine, tmp_path: Path) -> None:
    """With WITH_MONGO=1 the MongoDB comes along, also the next time, when only the secret tells of it."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / "deploy").mkdir()
    shutil.copy(DEPLOY / "secrets.sh", tmp_path / "deploy")

    refused = _make("--directory", str(tmp_path), "up", f"DOCKER={engine.path}")
    assert 2 == refused.returncode
    assert "which MongoDB?" in refused.stderr
    for arguments in (["WITH_MONGO=1"], []):
        asked = engine.make("--directory", str(tmp_path), "up", *arguments)
        assert ["--profile mongo up --detach --wait --wait-timeout 900 --build"] == asked
    (asked,) = engine.make("--directory", str(tmp_path), "up-lake")
    services = "lake-stream-0 lake-stream-1 lake-schedule"
    assert asked == f"--profile mongo --profile lake up --detach --wait --wait-timeout 900 --build {services}"
    account = "mongodb://reader:secret@mongo:27017/?replicaSet=rs0"
    (tmp_path / "deploy" / "secrets" / "mongo_uri").write_text(account)
    assert engine.make("--directory", str(tmp_path), "up")[0].startswith("--profile mongo ")


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("run-adhoc", "--profile manual run --rm --no-deps analytics-worker pipeline --skip-load"),
        (
            "run-daily",
            "--profile manual run --rm --no-deps analytics-worker pipeline --full-refresh --skip-load",
        ),
        (
            "run-backfill",
            "--profile manual run --rm --no-deps analytics-worker pipeline --full-backfill --skip-load",
        ),
        ("shell", "--profile manual run --rm --no-deps --entrypoint bash analytics-worker -i"),
        ("dashboards", "--profile dashboards run --rm metabase-sync"),
        (
            "down",
            "--profile mongo --profile prefect --profile manual --profile dashboards --profile lake down",
        ),
        ("logs", "logs --follow --tail 100"),
    ],
)
def test_targets_are_thin(target: str, expected: str, engine: Engine) -> None:
    """Each is one call of compose."""
    (asked,) = engine.make(target, "ARGS=--skip-load")
    assert expected == asked


def test_logs_are_imported_by_who_may_read_them(engine: Engine, tmp_path: Path) -> None:
    """As the user of this machine, in a folder of the container that this user may look into."""
    (asked,) = engine.make("import", f"LOGS={tmp_path}")
    assert asked == (
        f"--profile manual run --rm --no-deps --user {os.getuid()} --workdir /tmp "
        f"--volume {tmp_path}:/logs:ro analytics-worker import /logs"
    )


def _with_secrets(folder: Path) -> None:
    shutil.copy(ROOT / "Makefile", folder)
    (folder / "deploy").mkdir()
    shutil.copy(DEPLOY / "secrets.sh", folder / "deploy")
    assert 0 == _run_secrets(folder / "deploy" / "secrets", WITH_MONGO="1").returncode


def test_prefect_starts_without_dashboards(engine: Engine, tmp_path: Path) -> None:
    """In place of schedule; Metabase, which needs two downloads, is not among what it needs."""
    _with_secrets(tmp_path)
    stopped, started = engine.make("--directory", str(tmp_path), "up-prefect")
    assert "--profile mongo stop schedule" == stopped
    assert started.endswith("--build stream prefect-server prefect-worker")
    needed, pending = set(), ["stream", "prefect-server", "prefect-worker"]
    while pending:
        needed.add(name := pending.pop())
        pending += SERVICES[name].get("depends_on", {})
    assert {"mongo", "prefect-postgres", "prefect-server", "prefect-worker", "stream"} == needed


@pytest.mark.parametrize("target", ["up", "rebuild"])
def test_there_is_never_a_second_scheduler(target: str, engine: Engine, tmp_path: Path) -> None:
    """Where Prefect runs, its images are built and replaced like the others, and schedule does not start."""
    _with_secrets(tmp_path)
    for asked in engine.make("--directory", str(tmp_path), target):
        assert "prefect" not in asked
        assert "--scale" not in asked
    engine.runs_prefect = True
    asked = engine.make("--directory", str(tmp_path), target)
    assert all(line.startswith("--profile mongo --profile prefect ") for line in asked)
    assert asked[-1].startswith("--profile mongo --profile prefect up --detach --wait")
    assert "--scale schedule=0" in asked[-1]
    assert target == "up" or asked[0].endswith("build --pull --no-cache")


def test_prefect_is_looked_after(engine: Engine) -> None:
    """`deploy` builds, restarts and deploys; `status` lists deployments, `logs` has the worker's."""
    refused = _make("deploy", f"DOCKER={engine.path}")
    assert 2 == refused.returncode
    assert "make up-prefect" in refused.stderr
    assert 2 == len(engine.make("status"))
    engine.runs_prefect = True
    built, restarted, deployed = engine.make("deploy")
    assert built.endswith("build prefect-worker")
    assert restarted.endswith("--no-deps --force-recreate prefect-worker")
    assert deployed.endswith("exec -T prefect-worker claude-analytics deploy")
    assert engine.make("status")[-1].endswith("exec -T prefect-worker env COLUMNS=160 prefect deployment ls")
    assert ["--profile prefect logs --follow --tail 100 prefect-worker"] == engine.make(
        "logs", "SERVICE=prefect-worker"
    )


def test_one_receiver_is_named_by_the_environment(tmp_path: Path) -> None:
    """Alertmanager's configuration has it and no other; an unknown kind ends with a sentence."""
    script = (DEPLOY / "alertmanager" / "start.sh").read_text(encoding="utf-8")
    here = script.replace("/tmp/", f"{tmp_path}/").replace("exec alertmanager", "echo alertmanager")
    found = {}
    for kind in ("slack", "webhook", "pager", ""):
        url = "https://hooks.example/T0/secret" if kind else ""
        environment = {"PATH": os.environ["PATH"], "ALERTMANAGER_URL": url, "ALERTMANAGER_KIND": kind}
        ran = subprocess.run(
            ["/bin/sh", "-c", here], env=environment, capture_output=True, text=True, check=False
        )
        assert (2 if kind == "pager" else 0) == ran.returncode, ran.stderr
        assert (kind == "pager") == ("set it to slack or webhook" in ran.stderr)
        if kind != "pager":
            found[kind] = yaml.safe_load((tmp_path / "alertmanager.yml").read_text())
            assert (True, False) == (url in str(found[kind]), "secret" in ran.stdout)
    assert {
        "slack": {"slack_configs"},
        "webhook": {"webhook_configs"},
        "": set(),
    } == {kind: set(config["receivers"][0]) - {"name"} for kind, config in found.items()}


def test_the_start_of_metabase_reads_secrets_from_files(tmp_path: Path) -> None:
    """The JAR reads none: the entry point hands it values and brings the driver, or says why not."""
    script = DEPLOY / "metabase" / "entrypoint.sh"
    text = script.read_text(encoding="utf-8").replace("/metabase/duckdb", f"{tmp_path}/duckdb")
    (tmp_path / "duckdb.metabase-driver.jar").write_bytes(b"driver")
    secret, empty = tmp_path / "secret", tmp_path / "empty"
    secret.write_text("s3cret\n")
    empty.write_text("\n")

    def start(**environment: str) -> "subprocess.CompletedProcess[str]":
        plugins = {"PATH": os.environ["PATH"], "MB_PLUGINS_DIR": str(tmp_path / "work" / "plugins")}
        return subprocess.run(
            ["/bin/sh", "-c", text, "entrypoint.sh", "env"],
            env=plugins | environment,
            capture_output=True,
            text=True,
            check=False,
        )

    started = start(MB_DB_PASS_FILE=str(secret), MB_ENCRYPTION_SECRET_KEY_FILE=str(secret), MB_DB_USER="a")
    assert 0 == started.returncode, started.stderr
    lines = set(started.stdout.splitlines())
    assert {"MB_DB_PASS=s3cret", "MB_ENCRYPTION_SECRET_KEY=s3cret", "MB_DB_USER=a"} <= lines
    assert "_FILE=" not in started.stdout
    assert (tmp_path / "work" / "plugins" / "duckdb.metabase-driver.jar").exists()
    for environment, why in (
        ({"MB_DB_PASS_FILE": str(secret), "MB_DB_PASS": "x"}, "are both set"),
        ({"MB_DB_PASS_FILE": str(tmp_path / "missing")}, "cannot read the file that MB_DB_PASS_FILE names"),
        ({"MB_DB_PASS_FILE": str(empty)}, "is empty"),
        ({"MB_PLUGINS_DIR": "/proc/nowhere"}, "cannot write /proc/nowhere"),
    ):
        refused = start(**environment)
        assert (2, True) == (refused.returncode, why in refused.stderr), refused.stderr
