"""Between worker and bucket the network fails, or the store: nothing gets lost, nothing is there twice."""

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from batch.lake.s3_server import S3Server
from stream.storage.storage import Storage
from tests.chaos.conftest import Arena
from tests.support.objects import assert_nothing_lost_nothing_twice, landed_rows
from tests.support.patience import patience
from tests.support.program import Program
from tests.support.s3_proxy import Chooser, Fault, S3Proxy, always, at_random
from tests.support.streaming import wait_until

pytestmark = pytest.mark.chaos


@pytest.fixture
def proxy(s3_server: S3Server) -> Iterator[S3Proxy]:
    """Return a proxy before the S3 server."""
    with S3Proxy(s3_server.endpoint) as proxy:
        yield proxy


@pytest.fixture
def behind_proxy(
    arena: Arena, bucket: Storage, proxy: S3Proxy, monkeypatch: pytest.MonkeyPatch
) -> dict[str, Any]:
    """Return what makes workers land in a bucket through the proxy; a first one has taken the position."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.endpoint)
    options = {"data_url": bucket.url}
    with arena.worker(until_idle_seconds=0.5, **options) as process:
        _, log = process.communicate(timeout=patience())
        assert 0 == process.returncode, log
    return options


def catch_up(arena: Arena, options: dict[str, Any]) -> None:
    """Run workers until nothing arrives any more: one that cannot begin says so, and is started again."""
    ended = 1
    while ended:
        with arena.worker(until_idle_seconds=0.5, **options) as process:
            _, log = process.communicate(timeout=patience(180))
        ended = process.returncode
        assert 0 == ended or "StorageUnavailableError" in log, log


@pytest.mark.fault(
    1,
    "an object store that answers 500 and 503, loses answers, ends connections, and is slow",
    "nothing lost, nothing twice",
)
@pytest.mark.parametrize(
    ("faults", "share"),
    [(("500", "503"), 0.4), (("lost",), 0.4), (("cut", "lost", "slow", "503"), 0.5)],
    ids=["errors", "lost answers", "all of it"],
)
def test_a_store_that_fails_now_and_then(  # noqa: PLR0917 - its fixtures
    arena: Arena,
    bucket: Storage,
    behind_proxy: dict[str, Any],
    proxy: S3Proxy,
    tmp_path: Path,
    seed: int,
    faults: tuple[Fault, ...],
    share: float,
) -> None:
    """A worker goes on through it, during live changes, and is killed once right behind a write."""
    choose: Chooser = at_random(seed, share, *faults)
    with (
        arena.writer.writing(),
        arena.worker(failpoint="file_renamed", nth=8, **behind_proxy) as process,
    ):
        wait_until(lambda: len(landed_rows(bucket)) > 0)
        with proxy.failing(choose):
            _, log = process.communicate(timeout=patience(180))
        assert -signal.SIGKILL == process.returncode, log
    with proxy.failing(choose):
        catch_up(arena, behind_proxy)

    assert proxy.counts.keys() >= set(faults)
    catch_up(arena, behind_proxy)
    assert assert_nothing_lost_nothing_twice(bucket, arena.collection, tmp_path / "compared") > 0


@pytest.mark.fault(
    2, "an object store that nobody reaches for a while", "the worker waits, and goes on by itself"
)
@pytest.mark.parametrize("is_refused", [True, False], ids=["refused", "503 each time"])
def test_a_store_that_is_away(
    arena: Arena,
    bucket: Storage,
    behind_proxy: dict[str, Any],
    proxy: S3Proxy,
    tmp_path: Path,
    *,
    is_refused: bool,
) -> None:
    """Longer than each retry; the log says so, nothing is lost."""
    log = tmp_path / "log"
    with arena.worker(output=log, **behind_proxy) as process:
        arena.collection.insert_one({"_id": "before", "type": "user"})
        wait_until(lambda: len(landed_rows(bucket)) == 1)
        with proxy.unreachable() if is_refused else proxy.failing(always("503")):
            arena.collection.insert_one({"_id": "meanwhile", "type": "user"})
            wait_until(lambda: "storage_unavailable" in log.read_text())
            assert process.poll() is None
        wait_until(lambda: len(landed_rows(bucket)) == 2)
    catch_up(arena, behind_proxy)
    assert 2 == assert_nothing_lost_nothing_twice(bucket, arena.collection, tmp_path / "compared")


@pytest.mark.fault(16, "SIGTERM while nobody reaches the object store", "exit 1 in time; the next goes on")
def test_a_worker_that_is_stopped_in_an_outage(
    arena: Arena, bucket: Storage, proxy: S3Proxy, s3_server: S3Server, tmp_path: Path
) -> None:
    """It cannot flush: it says so, exits with 1, and whoever starts next reads the same changes again."""
    environment = s3_server.environment() | {"AWS_ENDPOINT_URL": proxy.endpoint}
    program = Program.on(
        arena.mongo, tmp_path / "data", DATA_URL=bucket.url, STREAM_MAX_AGE_SECONDS="0.1", **environment
    )
    program.done("stream", "--until-idle", "0.5")
    log = tmp_path / "log"
    with log.open("w") as file:
        process = program.start("stream", stderr=file.fileno())
        try:
            arena.collection.insert_one({"_id": "before", "type": "user"})
            wait_until(lambda: len(landed_rows(bucket)) == 1)
            with proxy.unreachable():
                arena.collection.insert_one({"_id": "meanwhile", "type": "user"})
                wait_until(lambda: "storage_unavailable" in log.read_text())
                process.send_signal(signal.SIGTERM)
                process.communicate(timeout=patience(60))
        finally:
            process.kill()
    assert 1 == process.returncode, log.read_text()
    assert "error: cannot write" in log.read_text()
    with proxy.unreachable():
        assert "nothing is lost" in program.done("stream", "--until-idle", "0.5", code=1)
    program.done("stream", "--until-idle", "0.5")
    assert 2 == assert_nothing_lost_nothing_twice(bucket, arena.collection, tmp_path / "compared")
