"""What another user of this machine can read: nothing, or what is published if the operator says so."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from batch.publish.reader_group import ReaderGroup
from stream.disk import keep_to_owner
from stream.errors import SettingsError
from tests.support.publishing import Shop, message

pytestmark = pytest.mark.integration

NOBODY = 65534
READERS = 54321
"""A group that nobody is in but whom a test puts there."""


@pytest.fixture
def folder() -> Iterator[Path]:
    """Return a folder that every user can reach, which pytest's own are not."""
    if os.getuid() != 0:
        pytest.skip("only root can act as another user")
    before = os.umask(0)
    keep_to_owner()
    found = Path(tempfile.mkdtemp(prefix="claude-analytics-readers-"))
    found.chmod(0o711)
    try:
        yield found
    finally:
        os.umask(before)
        shutil.rmtree(found)


def readable(folder: Path, *, groups: list[int]) -> set[str]:
    """Name the files below a folder that `nobody`, as a member of these groups, can read."""
    found = subprocess.run(
        ["find", "-L", str(folder), "-type", "f", "-readable"],  # noqa: S607 - wherever it is
        capture_output=True, text=True, check=False, user=NOBODY, group=NOBODY, extra_groups=groups,
        cwd="/",
    )  # fmt: skip
    return {str(Path(path).relative_to(folder)) for path in found.stdout.split()}


def publish(shop: Shop, number: int) -> None:
    shop.land(message(number, version=number << 31))
    shop.warehouse.load(timeout_seconds=5)
    shop.build(number)
    shop.publish(number)


def test_nobody_else_reads_anything(folder: Path) -> None:
    """Landing zone, warehouse, published builds: files 0600, folders 0700."""
    shop = Shop(folder / "data")
    publish(shop, 1)

    assert set() == readable(shop.folder, groups=[READERS])
    modes = {
        (path.is_dir(), path.stat().st_mode & 0o777)
        for path in (shop.folder, *shop.folder.rglob("*"))
        if not path.is_symlink()
    }
    assert {(True, 0o700), (False, 0o600)} == modes


def test_a_group_reads_what_is_published_and_nothing_else(folder: Path) -> None:
    """Builds, views and links, also those from before the setting; neither landing zone nor warehouse."""
    publish(Shop(folder / "data"), 1)
    shop = Shop(folder / "data", readers=ReaderGroup.of(str(READERS)))
    publish(shop, 2)

    assert set() == readable(shop.folder, groups=[])
    assert set() == readable(shop.folder / "landing", groups=[READERS])
    seen = readable(shop.serving.root, groups=[READERS])
    builds = {f"builds/build-000{number}/marts.fct_sales.parquet" for number in (1, 2)}
    assert builds | {"analytics.duckdb", "current/marts.dim_items.parquet"} <= seen
    writable = [
        path for path in shop.folder.rglob("*") if path.lstat().st_mode & 0o022 and not path.is_symlink()
    ]
    assert [] == writable
    assert (2, 2, 102) == shop.seen_build()


@pytest.mark.parametrize("name", ["no-such-group", "-1", "٣", ""], ids=["name", "negative", "digit", "empty"])
def test_an_unknown_group_is_said(name: str) -> None:
    """Exit code 2, and where groups are listed."""
    with pytest.raises(SettingsError, match="there is no such group") as caught:
        ReaderGroup.of(name)
    assert 2 == caught.value.exit_code
    assert "getent group" in caught.value.hint


def test_a_group_that_may_not_be_given_files_to_is_said(folder: Path) -> None:
    """As when the user that runs the pipeline is no member of it."""
    target = folder / "file"
    target.touch()
    os.chown(target, NOBODY, NOBODY)
    pid = os.fork()
    if pid == 0:  # what follows cannot be taken back in this process
        code = 1
        try:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            ReaderGroup.of(str(READERS)).admit(target)
        except SettingsError as error:
            code = 0 if "be a member of SERVING_GROUP" in error.hint else 2
        finally:
            os._exit(code)
    assert 0 == os.waitpid(pid, 0)[1]
