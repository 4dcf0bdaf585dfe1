"""Keeps importing: what is appended to a log is in MongoDB within a second."""

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing, suppress
from pathlib import Path

from watchfiles import Change, watch

from batch.importer.encoding import encode_way
from batch.importer.files import LOG_SUFFIX, Refused, existing_folder, search_again
from batch.importer.report import ImportReport
from batch.importer.tail import LogTail
from batch.importer.writer import Documents, DocumentWriter
from stream.clock import Clock, MonotonicClock
from stream.errors import SourceUnreachableError

_STEP_MILLISECONDS = 50
_DEBOUNCE_MILLISECONDS = 250
_WAKE_MILLISECONDS = 250
_SEARCH_SECONDS = 0.5
# Looking for logs may take this part of the time at most.
_SEARCH_SHARE = 0.05
_FIRST_PAUSE_SECONDS = 0.25
_LONGEST_PAUSE_SECONDS = 5.0


class _StoppedError(Exception):
    """It was time to stop; what is missing, the next start imports."""


class Follower:
    """Imports what is new in the logs at some paths each time it is asked; not thread-safe.

    Remembers how far each log was read, so an append costs only the new bytes. That memory is no more
    than that: after a restart every log is read once from its start, and no line is inserted twice. Not to
    be used any more once a method has raised.

    Args:
        paths: Log files and folders of logs.
        collection: Where the documents go.
        clock: Tells `ingestedAt`.
        stop: Ends the waiting for a MongoDB that does not answer.
        on_outage: Told each time that MongoDB does not answer.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        collection: Documents,
        *,
        clock: Clock,
        stop: threading.Event,
        on_outage: Callable[[SourceUnreachableError], None] | None = None,
    ) -> None:
        self._paths = paths
        self._collection = collection
        self._clock = clock
        self._stop = stop
        self._on_outage = on_outage
        self._tails: dict[Path, LogTail] = {}
        self._refused: list[Refused] = []
        self._complained: set[tuple[Path, str]] = set()

    def search(self) -> None:
        """Find out which logs there are now."""
        found = search_again(self._paths)
        present = {log.path: log for log in found.files}
        self._tails = {path: tail for path, tail in self._tails.items() if path in present}
        for path, log in present.items():
            self._tails.setdefault(path, LogTail(log, encode=encode_way()))
        self._refused = found.refused

    def import_new(self, paths: Iterable[Path] | None = None) -> ImportReport:
        """Import what is new in the logs that the last search found.

        Args:
            paths: Look at no others; unless given, at all.

        Raises:
            AnalyticsError: MongoDB refuses; while it only does not answer, this waits.
        """
        report = ImportReport()
        if paths is None:
            tails = list(self._tails.values())
        else:
            tails = [self._tails[path] for path in paths if path in self._tails]
        for refused in self._refused:
            self._complain(report, refused.path, refused.reason)
        changed = [tail for tail in tails if tail.has_changed]
        if changed:
            self._import(changed, report)
        return report

    def _import(self, changed: Iterable[LogTail], report: ImportReport) -> None:
        with DocumentWriter(self._collection, report) as writer:
            for tail in changed:
                self._read(tail, writer, report)
            self._insist(writer.finish)

    def _read(self, tail: LogTail, writer: DocumentWriter, report: ImportReport) -> None:
        try:
            for line in tail.read(ingested_at=self._clock()):
                report.size_bytes += line.size_bytes
                writer.add(line)
                if writer.is_full:
                    self._insist(writer.flush)
                    if self._stop.is_set():
                        raise _StoppedError
        except OSError as error:
            self._complain(report, tail.log.path, (error.strerror or str(error)).lower())
        else:
            report.files += 1

    def _insist(self, write: Callable[[], None]) -> None:
        """Write until it succeeds, or until it is time to stop: then the rest is left to the next start."""
        pause_seconds = _FIRST_PAUSE_SECONDS
        while True:
            try:
                write()
            except SourceUnreachableError as error:
                if self._on_outage is not None:
                    self._on_outage(error)
                if self._stop.wait(pause_seconds):
                    raise _StoppedError from error
                pause_seconds = min(2 * pause_seconds, _LONGEST_PAUSE_SECONDS)
            else:
                return

    def _complain(self, report: ImportReport, path: Path, reason: str) -> None:
        """Name a file once, not once a second."""
        if (path, reason) not in self._complained:
            self._complained.add((path, reason))
            report.add_unreadable(path, None, reason)


def follow(
    paths: Sequence[Path],
    collection: Documents,
    *,
    clock: Clock,
    stop: threading.Event,
    on_import: Callable[[ImportReport], None] | None = None,
    on_outage: Callable[[SourceUnreachableError], None] | None = None,
    monotonic: MonotonicClock = time.monotonic,
) -> None:
    """Import everything at some paths, then what is added, until told to stop.

    The system's file notifications make it quick; a look at every file each half second makes it sure,
    where they are lost or missing (folders just made, network drives, mounted volumes).

    Args:
        paths: Log files and folders of logs; a folder may still be empty.
        collection: Where the documents go.
        clock: Tells `ingestedAt`.
        stop: Ends it, also while MongoDB does not answer.
        on_import: Told of each step that inserted something or could not read something; the first one
            is the import of all that was there.
        on_outage: Told each time that MongoDB does not answer; it is asked again until it does.
        monotonic: Tells when the next look at every file is due.

    Raises:
        ImportPathError: A path does not exist.
        AnalyticsError: MongoDB refuses.
    """
    folders = {existing_folder(path) for path in paths}
    follower = Follower(paths, collection, clock=clock, stop=stop, on_outage=on_outage)
    notifications = watch(
        *folders,
        watch_filter=_is_log,
        step=_STEP_MILLISECONDS,
        debounce=_DEBOUNCE_MILLISECONDS,
        rust_timeout=_WAKE_MILLISECONDS,
        yield_on_timeout=True,
        stop_event=stop,
        raise_interrupt=True,
        ignore_permission_denied=True,
    )
    search_due_at = monotonic()
    with closing(notifications), suppress(_StoppedError):
        # The first comes within the wake-up time; the watch is on by then, so no change falls in between.
        for changes in notifications:
            started_at = monotonic()
            if started_at >= search_due_at or any(change is Change.added for change, _ in changes):
                follower.search()
                search_due_at = monotonic() + max(_SEARCH_SECONDS, (monotonic() - started_at) / _SEARCH_SHARE)
                report = follower.import_new()
            else:
                report = follower.import_new(Path(path) for _, path in changes)
            report.seconds = monotonic() - started_at
            if on_import is not None and (report.inserted or report.unreadable_count):
                on_import(report)
            if stop.is_set():
                return


def _is_log(_change: Change, path: str) -> bool:
    return path.endswith(LOG_SUFFIX)
