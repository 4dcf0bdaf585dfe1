"""A real Prometheus on this machine: found on the PATH, run in a folder of its own, asked over HTTP."""

import json
import shutil
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from batch.mongod.server import free_port
from tests.support.paths import ROOT
from tests.support.streaming import wait_until

FOLDER = ROOT / "deploy" / "prometheus"
_WHERE_FROM = "`make system` installs it (Debian: package `prometheus`)"


def promtool() -> str:
    """Find promtool; skips, and says so, where there is none."""
    return _program("promtool")


def _program(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"NOT TESTED: no {name} on the PATH; {_WHERE_FROM}")
    return path


class Prometheus:
    """A running Prometheus that scrapes and evaluates every second.

    Attributes:
        url: Where it answers.
    """

    def __init__(self, url: str) -> None:
        self.url = url

    def get(self, path: str, **parameters: str) -> Any:
        """Ask its API; gives what is under `data`.

        Raises:
            ValueError: It refuses the question; the message is its own.
        """
        query = urllib.parse.urlencode(parameters)
        try:
            with urllib.request.urlopen(  # noqa: S310 - ours
                f"{self.url}/api/v1/{path}?{query}", timeout=60
            ) as answer:
                return json.loads(answer.read())["data"]
        except urllib.error.HTTPError as error:
            raise ValueError(f"{parameters}: {json.loads(error.read())['error']}") from error

    def query(self, expression: str) -> dict[str, float]:
        """Evaluate an expression now; gives values by their labels."""
        found = self.get("query", query=expression)
        if found["resultType"] == "scalar":
            return {"": float(found["result"][1])}
        return {
            json.dumps(series["metric"], sort_keys=True): float(series["value"][1])
            for series in found["result"]
        }

    def firing(self) -> set[str]:
        """Name the alerts that fire."""
        return {
            alert["labels"]["alertname"]
            for alert in self.get("alerts")["alerts"]
            if alert["state"] == "firing"
        }

    @property
    def is_ready(self) -> bool:
        """Whether it serves yet."""
        try:
            with urllib.request.urlopen(f"{self.url}/-/ready", timeout=5):  # noqa: S310 - ours
                return True
        except OSError:
            return False


@contextmanager
def prometheus(
    folder: Path, ports: Mapping[str, int], *, wait_seconds: int | None = None
) -> Iterator[Prometheus]:
    """Run Prometheus with the shipped configuration, for jobs on this machine, a second instead of 15.

    Args:
        folder: For its files.
        ports: Where each job of the configuration answers.
        wait_seconds: Takes the place of how long each alert's condition must hold.
    """
    program = _program("prometheus")
    text = (FOLDER / "prometheus.yml").read_text(encoding="utf-8")
    configuration = yaml.safe_load(text.replace("15s", "1s"))
    assert {"1s"} == set(configuration["global"].values())
    assert set(ports) == {job["job_name"] for job in configuration["scrape_configs"]}
    for job in configuration["scrape_configs"]:
        job["static_configs"] = [{"targets": [f"127.0.0.1:{ports[job['job_name']]}"]}]
    (folder / "rules").mkdir(parents=True)
    for path in (FOLDER / "rules").glob("*.yml"):
        rules = yaml.safe_load(path.read_text(encoding="utf-8"))
        for group in rules["groups"]:
            for rule in group["rules"]:
                if wait_seconds is not None and "for" in rule:
                    rule["for"] = f"{wait_seconds}s"
        (folder / "rules" / path.name).write_text(yaml.safe_dump(rules), encoding="utf-8")
    (folder / "prometheus.yml").write_text(yaml.safe_dump(configuration), encoding="utf-8")
    port = free_port()
    served = Prometheus(f"http://127.0.0.1:{port}")
    with (
        (folder / "log").open("wb") as log,
        subprocess.Popen(
            [
                program,
                f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address=127.0.0.1:{port}",
                "--log.level=warn",
            ],
            stdout=log,
            stderr=log,
        ) as process,
    ):
        try:
            wait_until(lambda: served.is_ready or process.poll() is not None)
            assert process.poll() is None, (folder / "log").read_text(encoding="utf-8")
            yield served
        finally:
            process.terminate()
