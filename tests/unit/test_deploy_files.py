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

from batch.settings import PipelineSettings
from stream.settings import MetricsSettings
from tests.support.paths import ROOT

DEPLOY = ROOT / "deploy"
COMPOSE_TEXT = (DEPLOY / "docker-compose.yml").read_text(encoding="utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load(COMPOSE_TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
OURS = {name for name, service in SERVICES.items() if str(service["image"]).startswith("claude-analytics")}
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
    assert published == {
        "metabase": ["${BIND_ADDRESS:-127.0.0.1}:3001:3000"],
        "dbt-docs": ["${BIND_ADDRESS:-127.0.0.1}:8080:8080"],
        "grafana": ["${BIND_ADDRESS:-127.0.0.1}:3002:3000"],
        "prefect-server": ["127.0.0.1:4200:4200"],
    }


def test_networks_lead_out_only_where_they_must() -> None:
    """Whoever only keeps data or metrics is in internal networks alone."""
    open_networks = {name for name, network in COMPOSE["networks"].items() if not network.get("internal")}
    assert open_networks == {"source", "dashboards"}
    secluded = {
        name for name, service in SERVICES.items() if not open_networks & set(service.get("networks", ()))
    }
    assert secluded == {"prometheus", "metabase-postgres"}


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_is_bounded_and_unprivileged(name: str) -> None:
    """It comes back after a crash, has limits, rotates its logs, and gains no privilege."""
    service = SERVICES[name]
    assert service["restart"] == "unless-stopped"
    assert service["logging"]["options"] == {"max-size": "10m", "max-file": "5"}
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert set(service["deploy"]["resources"]["limits"]) == {"cpus", "memory", "pids"}


@pytest.mark.parametrize("name", ["stream", "schedule", "dbt-docs", "metabase-sync", "prefect-worker"])
def test_the_program_has_a_read_only_root(name: str) -> None:
    """It writes its volumes and /tmp; all of its processes see the same volumes."""
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["tmpfs"][0].startswith("/tmp:")
    assert service["volumes"] == ["data:/data", "landing:/data/landing", "serving:/data/serving"]


def test_metabase_reads_what_is_served_and_nothing_else() -> None:
    """The views name files by path: they lie where the program wrote them, and cannot be written."""
    assert SERVICES["metabase"]["volumes"] == ["serving:/data/serving:ro", "landing:/data/landing:ro"]


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
            assert profiles == service.get("profiles", []) or not profiles or how["required"] is False


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
    made = _run_secrets(tmp_path / "secrets", WITH_MONGO="1")
    assert made.returncode == 0, made.stderr
    named = {Path(secret["file"]) for secret in COMPOSE["secrets"].values()}
    assert {Path("secrets") / path.name for path in (tmp_path / "secrets").iterdir()} == named
    assert stat.S_IMODE((tmp_path / "secrets").stat().st_mode) == 0o700


def test_secrets_stay_as_they_are(tmp_path: Path) -> None:
    """A second run makes nothing anew: databases know the first ones."""
    _run_secrets(tmp_path, WITH_MONGO="1")
    before = {path.name: path.read_text() for path in tmp_path.iterdir()}
    again = _run_secrets(tmp_path)
    assert (again.returncode, again.stdout) == (0, "")
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == before
    assert len(set(before.values())) == len(before)


def test_without_a_connection_string_it_asks(tmp_path: Path) -> None:
    """It does not guess which MongoDB is meant."""
    asked = _run_secrets(tmp_path)
    assert asked.returncode == 2
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
    """Every `${NAME}` stands in `.env.example`."""
    named = set(re.findall(r"\$\{(\w+)", COMPOSE_TEXT))
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
    rated = subprocess.run(
        [analyze, "security", "--offline=true", "--threshold=20", copy],
        capture_output=True,
        text=True,
        check=False,
    )
    assert rated.returncode == 0, rated.stdout[-300:]


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_units_do_not_repeat_what_a_person_must_mend(unit: Path) -> None:
    """Exit code 2 stops the unit, 143 is a clean end."""
    lines = unit.read_text(encoding="utf-8").splitlines()
    assert {"Restart=on-failure", "RestartPreventExitStatus=2", "SuccessExitStatus=143"} <= set(lines)


TARGETS = ["up", "up-core", "up-prefect", "down", "rebuild", "logs", "status", "run-adhoc"]
TARGETS += ["dashboards", "run-backfill", "run-daily", "shell", "fresh", "deploy"]


def _make(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [shutil.which("make") or "make", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("target", TARGETS)
def test_without_an_engine_the_targets_say_so(target: str) -> None:
    """They name the two ways out, and touch nothing."""
    made = _make(target, "DOCKER=false")
    assert made.returncode == 2
    assert "`false compose` does not run here" in made.stderr
    assert "honcho start" in made.stderr


def test_an_engine_that_does_not_answer_is_named(tmp_path: Path) -> None:
    """A client without its engine is another problem than no client."""
    client = tmp_path / "client"
    client.write_text('#!/bin/sh\n[ "$1" = compose ]\n')
    client.chmod(0o755)
    made = _make("status", f"DOCKER={client}")
    assert made.returncode == 2
    assert "its engine does not answer" in made.stderr


def test_fresh_asks_first() -> None:
    """Nothing is deleted by a word alone."""
    made = _make("fresh", "DOCKER=true")
    assert made.returncode == 2
    assert "make fresh CONFIRM=yes" in made.stderr


def test_up_makes_secrets_and_starts_the_profile(tmp_path: Path) -> None:
    """With WITH_MONGO=1 the MongoDB comes along, also the next time, when only the secret tells of it."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / "deploy").mkdir()
    shutil.copy(DEPLOY / "secrets.sh", tmp_path / "deploy")

    refused = _make("--directory", str(tmp_path), "up", "DOCKER=echo")
    assert refused.returncode == 2
    assert "which MongoDB?" in refused.stderr
    for arguments in (["WITH_MONGO=1"], []):
        made = _make("--directory", str(tmp_path), "up", "DOCKER=echo", *arguments)
        assert made.returncode == 0, made.stderr
        assert "--profile mongo up --detach --build --wait" in made.stdout


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("run-adhoc", "run --rm --no-deps schedule pipeline --skip-load"),
        ("run-daily", "run --rm --no-deps schedule pipeline --full-refresh --skip-load"),
        ("run-backfill", "run --rm --no-deps schedule pipeline --full-backfill --skip-load"),
        ("dashboards", "--profile dashboards run --rm metabase-sync"),
        ("down", "--profile mongo --profile prefect down"),
        ("logs", "logs --follow --tail 100"),
        ("deploy", "--profile prefect exec prefect-worker claude-analytics deploy"),
    ],
)
def test_targets_are_thin(target: str, expected: str) -> None:
    """Each is one call of compose."""
    made = _make(target, "DOCKER=echo", "ARGS=--skip-load", "--no-print-directory")
    lines = made.stdout.splitlines()
    assert [True] == [line.startswith("compose --file deploy/docker-compose.yml") for line in lines]
    assert lines[0].endswith(expected)
