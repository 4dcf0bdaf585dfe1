"""Which files are logs, and what they are called wherever their folder lies."""

import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath

from stream.errors import ImportPathError

LOG_SUFFIX = ".jsonl"
PROJECTS_FOLDER = "projects"
_SUBAGENTS_FOLDER = "subagents"
_NO_LOG = f"no `*{LOG_SUFFIX}` in it"
_LEADS_OUT = "a symbolic link that leads out of the folder"


@dataclass(frozen=True)
class LogFile:
    """A log on disk.

    Attributes:
        path: Where it is, absolute, without symbolic links.
        source_file: What the documents call it; see `source_file_of`.
        size_bytes: Its size when it was found.
    """

    path: Path
    source_file: str
    size_bytes: int

    @property
    def project_id(self) -> str:
        """The folder that holds a project's logs: the first part of `source_file`."""
        return self.source_file.partition("/")[0]


@dataclass(frozen=True)
class Refused:
    """A file or folder that is not read, and why."""

    path: Path
    reason: str


@dataclass
class FoundLogs:
    """What a search found.

    Attributes:
        files: Logs, each once even if several of the given paths lead to it.
        refused: What looks like a log but is not read.
    """

    files: list[LogFile] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)

    def add(self, files: Iterable[LogFile], refused: Iterable[Refused]) -> None:
        """Take in what was found at one more path."""
        known = {file.path for file in self.files}
        self.files += [file for file in files if file.path not in known]
        self.refused += [item for item in refused if item not in self.refused]

    @property
    def size_bytes(self) -> int:
        """Size of all logs together."""
        return sum(file.size_bytes for file in self.files)


def source_file_of(path: PurePath, root: PurePath) -> str:
    """Name a log so that the name is the same wherever the logs lie and whichever folder was given.

    Args:
        path: The log, absolute.
        root: The folder that was given, or the folder of the file that was given.

    Returns:
        `<project>/…/<file>` with `/` between the parts: relative to the nearest folder named `projects`
        above the log, else to the given folder. A log that lies in that folder itself, or in `subagents/`
        of a conversation in it, makes the folder the project: then the name begins with the folder's own.
    """
    above = path.parts[:-1]
    is_anchored = PROJECTS_FOLDER in above
    start = len(above) - above[::-1].index(PROJECTS_FOLDER) if is_anchored else len(root.parts)
    if start == len(above):
        start -= 1
    if _SUBAGENTS_FOLDER in above:
        start = min(start, above.index(_SUBAGENTS_FOLDER) - 2)
    parts = path.parts[max(start, 1) :]
    # A file name may hold bytes that are no UTF-8; MongoDB stores nothing else.
    return os.fsencode("/".join(parts)).decode(errors="replace")


def find_logs(paths: Iterable[Path]) -> FoundLogs:
    """Find the logs at some paths: files as given, folders with all `*.jsonl` at any depth.

    Of a folder that holds a folder `projects`, as `~/.claude` does, only that one is searched: what lies
    beside it are no conversations. Symbolic links inside a folder are not followed: what they lead to in
    the folder is found there, and what lies outside is refused.

    A path without a log is named among the refused, unless no path has one.

    Raises:
        ImportPathError: A path does not exist, or nothing at any of them is a log.
    """
    found = FoundLogs()
    empty: list[ImportPathError] = []
    for given in paths:
        files, refused = _search(given)
        if not files:
            empty.append(_nothing_at(given, refused))
        if not files and not refused:
            refused = [Refused(given, _NO_LOG)]
        found.add(files, refused)
    if not found.files and empty:
        raise empty[0]
    return found


def search_again(paths: Iterable[Path]) -> FoundLogs:
    """As `find_logs`, but it is no error if there is nothing for the time being."""
    found = FoundLogs()
    for given in paths:
        found.add(*(_search(given) if given.expanduser().exists() else ([], [])))
    return found


def existing_folder(given: Path) -> Path:
    """Return the folder to watch for a path: itself, or the folder of a file.

    Raises:
        ImportPathError: The path does not exist.
    """
    path = _resolved(given)
    return path if path.is_dir() else path.parent


def _resolved(given: Path) -> Path:
    try:
        return given.expanduser().resolve(strict=True)
    except (OSError, RuntimeError) as error:
        raise ImportPathError(
            f"cannot import `{given}`: {_reason(error)}",
            hint="give a log file or a folder of logs; Claude Code keeps them in `~/.claude/projects`",
        ) from error


def _search(given: Path) -> tuple[list[LogFile], list[Refused]]:
    path = _resolved(given)
    files: list[LogFile] = []
    refused: list[Refused] = []
    if path.is_dir():
        root = path
        if path.name != PROJECTS_FOLDER and (path / PROJECTS_FOLDER).is_dir():
            root = path / PROJECTS_FOLDER
            if not root.resolve().is_relative_to(path):
                return [], [Refused(root, _LEADS_OUT)]
        candidates = _walk(root, refused)
    else:
        root = path.parent
        candidates = iter([path])
    for candidate in candidates:
        log = _examine(candidate, root)
        if isinstance(log, LogFile):
            files.append(log)
        elif log is not None:
            refused.append(log)
    return files, refused


def _walk(root: Path, refused: list[Refused]) -> Iterator[Path]:
    def refuse(error: OSError) -> None:
        refused.append(Refused(Path(error.filename), _reason(error)))

    for folder, folder_names, file_names in os.walk(root, onerror=refuse):
        folder_names.sort()
        for name in folder_names:
            path = Path(folder, name)
            if path.is_symlink() and not path.resolve().is_relative_to(root):
                refused.append(Refused(path, _LEADS_OUT))
        yield from (Path(folder, name) for name in sorted(file_names) if name.endswith(LOG_SUFFIX))


def _examine(path: Path, root: Path) -> LogFile | Refused | None:
    """Look at one path; None if it is found elsewhere, or was deleted in this moment."""
    try:
        status = path.lstat()
        if stat.S_ISLNK(status.st_mode):
            if not path.exists():
                return Refused(path, "a symbolic link that leads nowhere")
            is_inside = path.resolve().is_relative_to(root)
            return None if is_inside else Refused(path, _LEADS_OUT)
    except FileNotFoundError:
        return None
    except OSError as error:
        return Refused(path, _reason(error))
    if not stat.S_ISREG(status.st_mode):
        return Refused(path, "not a regular file")
    return LogFile(path, source_file_of(path, root), status.st_size)


def _nothing_at(given: Path, refused: Sequence[Refused]) -> ImportPathError:
    why = f"`{refused[0].path}` is {refused[0].reason}" if refused else _NO_LOG
    return ImportPathError(
        f"cannot import `{given}`: {why}",
        hint="give a log file or a folder of logs; Claude Code keeps them in `~/.claude/projects`",
    )


def _reason(error: Exception) -> str:
    return (getattr(error, "strerror", None) or str(error)).lower()
