"""The platform that the tests of this folder share: started once, from nothing, as an operator does."""

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.containers.platform import Platform, Receiver, downloads, receiver

# Images are kept between runs.
_HOME = Path(os.environ.get("CONTAINERS_HOME", "/var/tmp/claude-analytics-containers"))
_PROGRAMS = ("podman", "runc", "debootstrap", "make", "iptables")


def _missing() -> str:
    """Say why containers cannot be run here, or nothing if they can."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "containers are run as root on Linux"
    missing = [name for name in _PROGRAMS if shutil.which(name) is None]
    return f"no {', '.join(missing)} on the PATH; `make system` installs them (Debian)" if missing else ""


@pytest.fixture(scope="session")
def alerts() -> Iterator[Receiver]:
    """Return where Alertmanager sends alerts to."""
    with receiver() as found:
        yield found


@pytest.fixture(scope="session")
def platform(alerts: Receiver) -> Iterator[Platform]:
    """Return a checkout whose containers do not run yet; afterwards nothing of them is left but images."""
    why = _missing()
    if why:
        # Where it must be proved (CI), what cannot be proved is a failure.
        (pytest.fail if os.environ.get("CONTAINERS_REQUIRED") else pytest.skip)(f"NOT TESTED: {why}")
    # To look at what a failed test has left, and to go on from there with `ARGS='-k …'`.
    is_kept = bool(os.environ.get("CONTAINERS_KEEP"))
    folder = _HOME / "checkout"
    found = Platform(_HOME, folder)
    if not is_kept:
        shutil.rmtree(folder, ignore_errors=True)
        found.remove()
    found.make_images()
    found.copy_checkout()
    jars = folder / "downloads"
    jars.mkdir(exist_ok=True)
    with downloads(jars) as address:
        (folder / "deploy" / ".env").write_text(
            f"METABASE_JAR_URL={address}/metabase.jar\n"
            f"DUCKDB_DRIVER_URL={address}/duckdb.metabase-driver.jar\n"
            f"ALERTMANAGER_URL=http://host.containers.internal:{alerts.port}/\n"
            "ALERTMANAGER_KIND=webhook\n"
            "PIPELINE_TRANSFORM_RETRIES=0\n",
            encoding="utf-8",
        )
        try:
            yield found
        finally:
            if not is_kept:
                found.remove()
                assert [] == found.leftovers(), "still running or mounted"
