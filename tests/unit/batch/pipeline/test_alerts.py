"""When people are told, what, and what happens when they cannot be."""

import json
import sys
import threading
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import structlog
from structlog.testing import LogCapture

from batch.pipeline.alerts import Alert, Notifier, alert_for
from batch.runs.journal import StepRun

START = datetime(2026, 1, 3, tzinfo=UTC)
FAILED = Alert("failed", "run-1", "load", "no room", "free some space", 1)


def runs(*outcomes: str) -> list[StepRun]:
    """Return runs by outcome; `failed:reason` fails at its load."""
    steps = []
    for number, told in enumerate(outcomes):
        outcome, _, reason = told.partition(":")
        at = START + timedelta(hours=number)
        facts = {"error": reason, "hint": "do this" if reason else ""}
        for step in ("pipeline", "load"):
            steps += [StepRun(f"run-{number}", step, "schedule", at, at, outcome, **facts)]
    return steps


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        ([], None),
        (["succeeded"], None),
        (["succeeded", "failed:a"], ("failed", 1)),
        (["failed:a", "failed:a"], None),
        (["failed:a", "failed:b"], ("failed", 2)),
        (["failed:a", "killed:b"], ("failed", 2)),
        (["failed:a"] * 24, None),
        (["failed:a"] * 25, ("failed", 25)),
        (["succeeded", *["failed:a"] * 26], None),
        (["failed:a", "failed:a", "succeeded"], ("recovered", 2)),
        (["failed:a", "succeeded", "succeeded"], None),
        (["failed:a", "stopped"], ("failed", 1)),
        (["failed:a", "running", "succeeded"], ("recovered", 1)),
    ],
    ids=str,
)
def test_what_is_told_after_a_run(history: Sequence[str], expected: tuple[str, int] | None) -> None:
    """New failures, other reasons, a reminder a day, and recovery; nothing else."""
    alert = alert_for(runs(*history))
    assert expected == ((alert.outcome, alert.failures) if alert else None)


def test_an_alert_says_where_why_and_what_to_do() -> None:
    """Step, reason and fix are those of the run."""
    alert = alert_for(runs("succeeded", "failed:no room"))
    assert Alert("failed", "run-1", "load", "no room", "do this", 1) == alert
    assert (
        "Claude Analytics: run run-1 failed at load (1 failure in a row).\nno room\nWhat to do: do this"
    ) == alert.text
    recovered = alert_for(runs("failed:a", "failed:a", "succeeded"))
    assert recovered
    assert "Claude Analytics works again after 2 failures: run run-2 succeeded." == recovered.text


@pytest.fixture
def posted() -> Iterator[tuple[str, list[Any]]]:
    """Return the address of a server, and what is posted to it; anything but JSON is refused."""
    bodies: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(500 if self.path == "/broken" else 200)
            self.end_headers()

        def log_message(self, *_arguments: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", bodies
        server.shutdown()
        thread.join()


@pytest.fixture
def log() -> LogCapture:
    return LogCapture()


def notifier(log: LogCapture, webhook: str | None = None, command: str | None = None) -> Notifier:
    return Notifier(webhook, command, structlog.wrap_logger(None, processors=[log]))


def test_a_webhook_gets_what_slack_understands(posted: tuple[str, list[Any]], log: LogCapture) -> None:
    """JSON with one text, and nothing that a strict receiver would refuse."""
    address, bodies = posted
    notifier(log, f"{address}/hook/secret").send(FAILED)
    assert [{"text": FAILED.text}] == bodies
    assert ["alert"] == [entry["event"] for entry in log.entries]


@pytest.mark.parametrize(
    ("webhook", "command"),
    [
        ("{address}/broken", None),
        ("http://127.0.0.1:9/secret", None),
        *((None, each) for each in ("/no/such/program", f"{sys.executable} -c 1/0", "'unbalanced")),
    ],
    ids=["an error", "nobody there", "no program", "a program that fails", "no command"],
)
def test_a_way_that_does_not_work(
    posted: tuple[str, list[Any]], log: LogCapture, webhook: str | None, command: str | None
) -> None:
    """It harms nothing; the log says so, without the address, which is a secret."""
    address = webhook and webhook.format(address=posted[0])
    notifier(log, address, command).send(FAILED)
    assert ["alert", "alert_not_delivered"] == [entry["event"] for entry in log.entries]
    assert address is None or address not in str(log.entries)


def test_a_command_gets_the_facts(tmp_path: Path, log: LogCapture) -> None:
    """In its environment; its arguments are its own."""
    script = tmp_path / "hook.py"
    script.write_text(
        "import os, sys; open(sys.argv[1], 'w').write(os.environ['ALERT_STEP'] + os.environ['ALERT_FIX'])"
    )
    notifier(log, command=f"{sys.executable} {script} '{tmp_path / 'the facts'}'").send(FAILED)
    assert "loadfree some space" == (tmp_path / "the facts").read_text()
