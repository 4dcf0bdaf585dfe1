"""The platform past one machine, on one: profile `lake` of the compose file, as an operator types it."""

import sys
import time

import pytest

from batch.shipped import sample_logs
from tests.containers.images import COMPOSE
from tests.containers.platform import CommandFailed, Platform
from tests.support.streaming import wait_until

pytestmark = pytest.mark.containers

PATIENCE_SECONDS = 900
SERVICES = {
    name for name, service in COMPOSE["services"].items() if "lake" in service.get("profiles", ())
} | {"mongo"}


# As docs/lake.md has it: the pointer says which snapshots are published, any reader of Iceberg reads them.
PUBLISHED = """
import sys
from batch.cli.context import Context
from batch.cli.lake import lake_config
from batch.lake.builds import current
from batch.lake.catalog import Catalog

catalog = Catalog(lake_config(Context.from_environment(quiet=True)))
build_id, tables = current(catalog)
(snapshot,) = (each.snapshot_id for each in tables if each.name == "dim_sessions")
rows = catalog.table("marts.dim_sessions").scan(snapshot_id=snapshot).to_arrow().to_pylist()
print(*(row["message_count"] for row in rows if row["session_id"] == sys.argv[1]))
"""


def once(platform: Platform, *arguments: str) -> str:
    """Run a command of the program beside the running services."""
    return platform.compose(
        "--profile", "mongo", "--profile", "lake", "run", "--rm", "--no-deps", "lake-schedule", *arguments
    )


def test_it_starts_from_nothing(platform: Platform) -> None:
    """`make up-lake WITH_MONGO=1`: bucket, catalog, Spark and two workers are healthy."""
    platform.build("lake-store")
    began = time.monotonic()
    platform.make("up-lake", "WITH_MONGO=1")
    seconds = time.monotonic() - began
    assert SERVICES == set(platform.containers())
    unhealthy = {name for name in SERVICES if not platform.is_healthy(name)}
    assert set() == unhealthy, {name: platform.log(name)[-2000:] for name in unhealthy}
    sys.stdout.write(f"\nmake up-lake, images built: healthy after {seconds:.0f} s\n")


def test_the_doctor_finds_nothing(platform: Platform) -> None:
    """Bucket, conditional writes, catalog, Spark and its executors: every line with what was found."""
    said = once(platform, "doctor")
    assert "conditional writes: honoured" in said


def test_documents_are_loaded_by_spark(platform: Platform) -> None:
    """Both workers land what is inserted, Spark's executors load it, source and tables are equal."""
    once(platform, "backfill")
    platform.make("import", f"LOGS={sample_logs()}")
    platform.insert("past-one-machine", 30)
    said = ""

    def is_equal() -> bool:
        nonlocal said
        try:
            once(platform, "load")
            said = once(platform, "verify")
        except CommandFailed as error:
            said = str(error)
            return False
        return True

    wait_until(is_equal, seconds=PATIENCE_SECONDS)
    assert "verdict: same" in said


def test_marts_are_published_in_iceberg(platform: Platform) -> None:
    """Spark builds and checks them, the pointer names their snapshots, a reader without Spark reads them."""
    once(platform, "pipeline")
    assert "30" == platform.exec("lake-schedule", "python", "-c", PUBLISHED, "past-one-machine").strip()


def test_nothing_runs_as_root_or_writes_its_root(platform: Platform) -> None:
    """Neither Spark nor the S3 server nor PostgreSQL."""
    for name, described in platform.containers().items():
        processes = platform.engine("top", str(described["Name"]), "huser", "capeff").splitlines()[1:]
        assert {"none"} == {line.split()[1] for line in processes}, name
        assert not {"0", "root"} & {line.split()[0] for line in processes}, name
        assert described["HostConfig"]["ReadonlyRootfs"], name
        # Ports that the image names are listed without an address of the machine.
        assert not any(described["HostConfig"]["PortBindings"].values()), name


def test_down_leaves_nothing_running(platform: Platform) -> None:
    """`make down` ends them all."""
    platform.make("down")
    assert {} == platform.containers()
