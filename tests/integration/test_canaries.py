"""Secrets and a sentence run through everything; then all that is shown, logged or left is searched."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from pymongo import MongoClient

from batch.mongod.server import free_port
from tests.support.guarding import guarded_mongo
from tests.support.patience import patience
from tests.support.program import PROGRAM
from tests.support.secrets_for_tests import SECRETS

pytestmark = pytest.mark.integration

SENTENCE = "canarywing swoops over the frozen marmalade"
PASSWORD = f"p@ss:wort/{uuid.uuid4().hex}"
METRICS_TOKEN = f"token-{uuid.uuid4().hex}"
WEBHOOK_PATH = f"hook-{uuid.uuid4().hex}"
REDACT_KEY = f"key-{uuid.uuid4().hex}"
CANARIES = {
    "sentence": SENTENCE,
    "github": SECRETS["github"][0],
    "private key": SECRETS["private_key"][0][40:90],
    "password": PASSWORD,
    "quoted password": quote(PASSWORD, safe=""),
    "metrics token": METRICS_TOKEN,
    "webhook": WEBHOOK_PATH,
    "redaction key": REDACT_KEY,
}
_CONTENT = {".parquet", ".duckdb", ".wal", ".wt"}
"""Files that hold the conversations: it is what they are for."""


@dataclass
class Run:
    """One installation and everything it said.

    Attributes:
        folder: Working folder; DATA_DIR is `data` in it.
        environment: Of every command.
        said: Output and error output by command.
        exit_codes: By command.
    """

    folder: Path
    environment: dict[str, str]
    said: dict[str, str] = field(default_factory=dict)
    exit_codes: dict[str, int] = field(default_factory=dict)

    @property
    def data(self) -> Path:
        """DATA_DIR."""
        return self.folder / "data"

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        """Start a command."""
        return subprocess.Popen(
            [*PROGRAM, *arguments],
            cwd=self.folder, env=self.environment | environment, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def command(self, *arguments: str, name: str = "", **environment: str) -> None:
        """Run a command to its end."""
        process = self.start(*arguments, **environment)
        said, _ = process.communicate(timeout=patience(300))
        self.said[name or " ".join(arguments[:2])] = said
        self.exit_codes[name or " ".join(arguments[:2])] = process.returncode

    def stream_and_scrape(self) -> None:
        """Let the worker read everything, look at its metrics, and stop it."""
        port = free_port()
        process = self.start("stream", METRICS_PORT=str(port))
        try:
            request = urllib.request.Request(f"http://127.0.0.1:{port}/metrics")
            request.add_header("Authorization", f"Bearer {METRICS_TOKEN}")
            deadline = time.monotonic() + patience()
            scraped = ""
            while "stream_rows_landed_total 0.0" in scraped or not scraped:
                assert time.monotonic() < deadline, "nothing has landed"
                assert process.poll() is None
                time.sleep(0.2)
                try:
                    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - ours
                        scraped = answer.read().decode()
                except OSError:
                    continue
        finally:
            process.send_signal(signal.SIGTERM)
            said, _ = process.communicate(timeout=patience())
        self.said["stream"], self.said["metrics"] = said, scraped
        self.exit_codes["stream"] = process.returncode


def lines() -> list[dict[str, Any]]:
    """Make a log whose every part holds canaries."""
    text = f"{SENTENCE}: {SECRETS['github'][0]} {SECRETS['private_key'][0]}"
    common = {
        "sessionId": "0d7e8f1c-3a52-4b7e-9b54-1b7f1f3f9a10",
        "cwd": "/home/ana/shop",
        "version": "2.1.0",
    }
    return [
        common | {
            "type": "user", "uuid": str(uuid.uuid4()), "timestamp": "2026-01-03T10:00:00.000Z",
            "message": {"role": "user", "content": text},
        },
        common | {
            "type": "assistant", "uuid": str(uuid.uuid4()), "timestamp": "2026-01-03T10:00:05.000Z",
            "requestId": "req_1",
            "message": {
                "id": "msg_1", "role": "assistant", "model": "claude-opus-4-5", "stop_reason": "tool_use",
                "usage": {"input_tokens": 3, "output_tokens": 5},
                "content": [
                    {"type": "text", "text": text},
                    {"type": "tool_use", "id": "toolu_1", "name": "Bash", "input": {"command": text}},
                ],
            },
        },
        common | {
            "type": "user", "uuid": str(uuid.uuid4()), "timestamp": "2026-01-03T10:00:09.000Z",
            "message": {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "toolu_1", "content": text, "is_error": True},
            ]},
            "toolUseResult": f"Error: {text}",
        },
    ]  # fmt: skip


def rejected() -> list[dict[str, Any]]:
    """Make documents of which each breaks another rule, with canaries in the very value that breaks it."""
    text = f"{SENTENCE} {SECRETS['github'][0]}"
    return [
        {"message": text},
        {"type": {text: text}},
        {"type": "user", "sessionId": [text]},
        {"type": "user", "timestamp": text},
        {"type": "user", "message": 7.5, "cwd": text},
    ]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """Return an installation that has done everything there is to do."""
    folder = tmp_path_factory.mktemp("canaries")
    with guarded_mongo(folder, user="app", password=PASSWORD) as mongo:
        account = f"mongodb://app:{quote(PASSWORD, safe='')}@"
        ours = {
            "MONGO_URI": mongo.uri.replace("mongodb://", account), "DATA_DIR": "data", "LOG_LEVEL": "debug",
            "LOG_FORMAT": "json", "DUCKDB_THREADS": "1", "METRICS_TOKEN": METRICS_TOKEN,
            "ALERT_WEBHOOK_URL": f"http://127.0.0.1:1/{WEBHOOK_PATH}", "REDACT_KEY": REDACT_KEY,
            "PIPELINE_LOAD_RETRIES": "0", "PIPELINE_TRANSFORM_RETRIES": "0", "BACKFILL_METRICS_PORT": "0",
        }  # fmt: skip
        bare = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        found = Run(folder, bare | ours | {"PYTHONPATH": os.pathsep.join(sys.path)})
        logs = folder / "logs" / "-home-ana-shop"
        logs.mkdir(parents=True)
        content = "".join(f"{json.dumps(line)}\n" for line in lines())
        (logs / "one.jsonl").write_text(content + f'{{"torn": "{SENTENCE}')
        found.command("extract", name="extract, first")  # the position from which the stream goes on
        found.command("import", str(logs.parent), name="import")
        with MongoClient[dict[str, Any]](mongo.uri, username="app", password=PASSWORD) as client:
            client.claude_logs.conversations.insert_many(rejected())
        found.stream_and_scrape()
        found.command("backfill")
        found.command("pipeline")
        for arguments in (
            ["dead-letters", "list"], ["dead-letters", "list", "--json"], ["dead-letters", "replay"],
            ["verify"], ["doctor"], ["status"], ["config"], ["load", "--stats"],
        ):  # fmt: skip
            found.command(*arguments, name=" ".join(arguments))
        wrong = ours["MONGO_URI"].replace("@", "x@")
        for name, uri in {"wrong password": wrong, "no such server": f"{account}127.0.0.1:1/"}.items():
            found.command(
                "backfill", name=name, MONGO_URI=uri, MONGO_CONNECT_TIMEOUT_SECONDS="1", DATA_DIR="other"
            )
        (folder / "broken").write_text("no database" * 1000)
        found.command("load", name="broken warehouse", DUCKDB_PATH=str(folder / "broken"))
        yield found


def test_everything_was_done(run: Run) -> None:
    """Else the search would find nothing because there was nothing."""
    expected = {"stream": 143, "dead-letters replay": 2, "wrong password": 2, "no such server": 1}
    done = ("import", "backfill", "pipeline", "verify", "config", "load --stats", "dead-letters list")
    assert dict.fromkeys(done, 0) | expected == {
        name: code for name, code in run.exit_codes.items() if name in {*done, *expected}
    }, run.said["pipeline"]
    assert "10 dead letters" in run.said["dead-letters list"]  # five, met by the stream and by the backfill
    assert SENTENCE.encode() in b"".join(
        path.read_bytes() for path in (run.data / "dead_letter").rglob("*.jsonl")
    )


def test_nothing_that_is_shown_or_measured_tells_a_secret(run: Run) -> None:
    """Output, logs at level debug, metrics, errors, settings, lists of dead letters: no canary in any."""
    found = [
        f"{what} in the output of `{name}`"
        for name, said in run.said.items()
        for what, canary in CANARIES.items()
        if canary in said
    ]
    assert [] == found


def test_nothing_that_is_left_behind_tells_a_secret(run: Run) -> None:
    """Logs of dbt, results of checks, the journal, plans and positions; content is where content belongs."""
    found = []
    for path in sorted(run.data.rglob("*")):
        if path.is_dir() or path.suffix in _CONTENT or "dead_letter" in path.parts:
            continue
        text = path.read_bytes().decode(errors="replace")
        name = path.relative_to(run.data)
        found += [f"{what} in {name}" for what, canary in CANARIES.items() if canary in text]
    assert [] == found


def test_nobody_else_can_read_anything(run: Run) -> None:
    """Whatever wrote it: this program, DuckDB, dbt, Great Expectations. Files 0600, folders 0700."""
    paths = [path for path in (run.data, *run.data.rglob("*")) if not path.is_symlink()]
    assert len(paths) > 100
    assert [] == [str(path) for path in paths if path.stat().st_mode & 0o077]
