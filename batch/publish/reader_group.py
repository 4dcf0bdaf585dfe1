"""Who may read what is published, besides the user that runs the pipeline: the members of one group."""

import grp
import os
from dataclasses import dataclass
from pathlib import Path

from stream.errors import SettingsError

_FOLDER_MODE = 0o750
_PASSAGE_MODE = 0o710
_FILE_MODE = 0o640


@dataclass(frozen=True)
class ReaderGroup:
    """A group of the operating system.

    Attributes:
        name: As SERVING_GROUP says it.
        number: Its id.
    """

    name: str
    number: int

    @classmethod
    def of(cls, name: str) -> "ReaderGroup":
        """Look a group up by its name, or take its number: inside a container it may have no name.

        Raises:
            SettingsError: There is no such group.
        """
        if name.isascii() and name.isdecimal():
            return cls(name, int(name))
        try:
            return cls(name, grp.getgrnam(name).gr_gid)
        except KeyError:
            raise SettingsError(
                f"cannot use SERVING_GROUP `{name}`: there is no such group on this machine",
                hint="name one that `getent group` lists, or give its number",
            ) from None

    def let_through(self, folder: Path) -> None:
        """Let the group reach what lies in a folder, without seeing what else does.

        Raises:
            SettingsError: As `admit`.
        """
        self._set(folder, _PASSAGE_MODE)

    def admit(self, path: Path) -> None:
        """Let the group read a file, or a folder with everything in it; nobody else, and never write.

        Symbolic links are left alone: what they lead to decides.

        Raises:
            SettingsError: The user that runs this may not give files to the group.
        """
        for each in (path, *path.rglob("*")):
            if not each.is_symlink():
                self._set(each, _FOLDER_MODE if each.is_dir() else _FILE_MODE)

    def _set(self, path: Path, mode: int) -> None:
        try:
            # The group first: were it the other way round, the former group could read for a moment.
            if path.stat().st_gid != self.number:
                path.chmod(mode & 0o700)
                os.chown(path, -1, self.number)
            path.chmod(mode)
        except OSError as error:
            raise SettingsError(
                f"cannot let the group `{self.name}` read `{path}`: {error.strerror or error}",
                hint="the user that runs claude-analytics must own its files and be a member of "
                "SERVING_GROUP; or unset it, and run what reads as the same user",
            ) from error
