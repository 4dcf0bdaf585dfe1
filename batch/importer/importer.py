"""Logs of Claude Code → documents in MongoDB: each line once, however often it is imported."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from batch.importer.encoding import encode_way
from batch.importer.files import find_logs
from batch.importer.report import ImportProgress, ImportReport
from batch.importer.tail import LogTail
from batch.importer.writer import Documents, DocumentWriter
from stream.clock import Clock, MonotonicClock
from stream.decode.memory import rare_garbage_collection


def import_logs(
    paths: Sequence[Path],
    collection: Documents,
    *,
    clock: Clock,
    monotonic: MonotonicClock = time.monotonic,
    on_progress: Callable[[ImportProgress], None] | None = None,
) -> ImportReport:
    """Import every line of every log at some paths that is not there yet.

    Documents that exist are never changed, so `ingestedAt` stays the time of the first import. After an
    error, another import does the rest.

    Args:
        paths: Log files and folders of logs.
        collection: Where the documents go.
        clock: Tells `ingestedAt`.
        monotonic: Tells the duration.
        on_progress: Called after each batch, in this thread.

    Raises:
        ImportPathError: Nothing importable at a path; nothing was imported then.
        AnalyticsError: MongoDB does not answer or refuses.
    """
    started_at = monotonic()
    found = find_logs(paths)
    report = ImportReport()
    report.add_refused(found.refused)

    def tell() -> None:
        report.seconds = monotonic() - started_at
        if on_progress is not None:
            on_progress(ImportProgress(report.size_bytes, found.size_bytes, report))

    encode = encode_way()
    with rare_garbage_collection(), DocumentWriter(collection, report) as writer:
        for log in found.files:
            try:
                for line in LogTail(log, encode=encode).read(ingested_at=clock()):
                    report.size_bytes += line.size_bytes
                    writer.add(line)
                    if writer.is_full:
                        writer.flush()
                        tell()
            except OSError as error:
                report.add_unreadable(log.path, None, (error.strerror or str(error)).lower())
            else:
                report.files += 1
        writer.finish()
    tell()
    return report
