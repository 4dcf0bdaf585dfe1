"""The serving folder: what readers open, while the pipeline goes on.

    serving/builds/<build id>/<schema>.<model>.parquet, MANIFEST.json
    serving/shown/<number>     links to builds, the newest with the lowest number: what the views read
    serving/current            a link to the build shown last, moved by one rename: for people and tools
    serving/analytics.duckdb   views over `shown`, no data (see `batch.publish.views`)

A build exists once its folder has its final name; it never changes afterwards. Build ids begin with their
time, so their order is that of their making. The views do not read `current`: DuckDB opens a file more than
once in a query, and would read two builds as if they were one when the link moves in between. A link in
`shown` never moves.
"""

import shutil
from pathlib import Path

from batch.publish.manifest import Manifest
from batch.publish.reader_group import ReaderGroup
from stream.disk import TEMPORARY_SUFFIX, disk_errors, sync_folder, write_durably
from stream.errors import SettingsError

_MANIFEST = "MANIFEST.json"
_FIRST_NUMBER = 999_999_999_999


class ServingFolder:
    """The builds, and which of them is current. One process writes at a time; readers need no lock.

    Args:
        root: The folder; it lies in DATA_DIR.
        readers: Who may read it besides its owner; None for nobody.

    Attributes:
        root: The folder itself, absolute: views name it.
    """

    def __init__(self, root: Path, *, readers: ReaderGroup | None = None) -> None:
        self.root = root.resolve()
        self._readers = readers
        self._builds = self.root / "builds"

    @property
    def current(self) -> Path:
        """The link for people and tools that open files themselves."""
        return self.root / "current"

    @property
    def shown(self) -> Path:
        """The folder of links that the views look through."""
        return self.root / "shown"

    @property
    def database(self) -> Path:
        """The DuckDB file of views."""
        return self.root / "analytics.duckdb"

    def folder(self, build_id: str) -> Path:
        """Return the folder of a build, made or not."""
        return self._builds / build_id

    def builds(self) -> list[str]:
        """List the builds, oldest first."""
        if not self._builds.is_dir():
            return []
        return sorted(
            folder.name
            for folder in self._builds.iterdir()
            if not folder.name.startswith(".") and (folder / _MANIFEST).is_file()
        )

    def current_build(self) -> str | None:
        """Name the build that readers see, None before the first."""
        return next((link.readlink().name for link in self._links()), None)

    def _links(self) -> list[Path]:
        """List the links of `shown`, the newest first."""
        return sorted(self.shown.iterdir()) if self.shown.is_dir() else []

    def manifest(self, build_id: str) -> Manifest:
        """Read what a build says about itself.

        Raises:
            SettingsError: There is no such build, or its manifest cannot be read.
            SchemaTooNewError: A newer version of this program wrote it.
        """
        try:
            return Manifest.from_json(
                (self.folder(build_id) / _MANIFEST).read_bytes(), what=f"the manifest of build `{build_id}`"
            )
        except (OSError, ValueError) as error:
            known = ", ".join(f"`{each}`" for each in reversed(self.builds())) or "none"
            raise SettingsError(
                f"there is no usable build `{build_id}` in `{self._builds}`: {error}",
                hint=f"builds at hand, newest first: {known}",
            ) from error

    def begin(self, build_id: str) -> Path:
        """Make the folder that a build is written into, unseen by readers.

        Raises:
            LandingFullError: No space.
            LandingNotWritableError: The folder cannot be made.
        """
        folder = self._unfinished(build_id)
        with disk_errors(folder):
            folder.mkdir(parents=True)
        if self._readers:
            # All of it, as the setting may be new: then there are builds from before.
            self._readers.let_through(self.root.parent)
            self._readers.admit(self.root)
        return folder

    def admit_readers(self, path: Path) -> None:
        """Let those who may read all of this read a new file or folder, too; to be called before it is shown.

        Raises:
            SettingsError: The setting for it names a group that this user may not give files to.
        """
        if self._readers:
            self._readers.admit(path)

    def finish(self, manifest: Manifest) -> None:
        """Return a build its manifest and its final name; every file in it is durable already.

        Raises:
            LandingFullError: No space.
            LandingNotWritableError: The folder cannot be written.
        """
        folder = self._unfinished(manifest.build_id)
        with disk_errors(folder):
            write_durably(folder / _MANIFEST, manifest.to_json(indent=2) + b"\n")
            self.admit_readers(folder)
            folder.rename(self.folder(manifest.build_id))
            sync_folder(self._builds)

    def show(self, build_id: str) -> None:
        """Let readers see another build; queries that run already end with the one they began with.

        Raises:
            LandingFullError: No space.
            LandingNotWritableError: The folder cannot be written.
        """
        with disk_errors(self.shown):
            self.shown.mkdir(parents=True, exist_ok=True)
            self.admit_readers(self.shown)
            links = self._links()
            number = int(links[0].name) - 1 if links else _FIRST_NUMBER
            (self.shown / f"{number:012}").symlink_to(
                Path("..", "builds", build_id), target_is_directory=True
            )
            sync_folder(self.shown)

    def point_current(self) -> None:
        """Let `current` lead to the build that is shown; also after a crash between the two."""
        build_id = self.current_build()
        if build_id is None:
            return
        link = self.root / f".current{TEMPORARY_SUFFIX}"
        with disk_errors(self.current):
            link.unlink(missing_ok=True)
            link.symlink_to(Path("builds") / build_id, target_is_directory=True)
            link.rename(self.current)
            sync_folder(self.root)

    def remove_unfinished(self) -> int:
        """Delete what killed publishes left half-written; only for the one process that writes."""
        left_over = [*self._builds.glob(f".*{TEMPORARY_SUFFIX}"), *self.root.glob(f".*{TEMPORARY_SUFFIX}*")]
        with disk_errors(self._builds):
            for path in left_over:
                _remove(path)
        return len(left_over)

    def remove_old(self, *, keep: int) -> list[str]:
        """Delete builds that are neither current nor among the newest; give their ids.

        Args:
            keep: How many to keep beside the newest one.
        """
        removed = [each for each in self.builds()[: -(keep + 1)] if each != self.current_build()]
        with disk_errors(self._builds):
            for build_id in removed:
                # Renamed first: a build that is half deleted is no build.
                unfinished = self._unfinished(build_id)
                self.folder(build_id).rename(unfinished)
                _remove(unfinished)
        return removed

    def size_bytes(self) -> int:
        """Add up the sizes of all builds, as their manifests tell."""
        return sum(self.manifest(build_id).size_bytes for build_id in self.builds())

    def _unfinished(self, build_id: str) -> Path:
        return self._builds / f".{build_id}{TEMPORARY_SUFFIX}"


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
