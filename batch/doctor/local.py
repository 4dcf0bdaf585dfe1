"""Looks at this machine: folders, disk, landed files, warehouse, ports. Changes nothing that is there."""

import os
import shutil
import socket
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from batch.doctor.facts import Address, LocalFacts
from batch.probe import probe_landing, probe_warehouse
from stream.clock import Clock
from stream.errors import AnalyticsError
from stream.landing.dead_letters import DeadLetterStore
from stream.landing.micro_batch import MicroBatch, check_content, read_footer
from stream.landing.zone import LandingZone
from stream.warehouse.warehouse import Warehouse

_LEASE_SECONDS = 1.0
_CHECKED_FILES = 200
"""Landed files that are read wholly: the newest ones, as those are what is about to be read."""


def probe_machine(
    data_dir: Path,
    landing: LandingZone,
    dead_letters: DeadLetterStore,
    warehouse: Warehouse,
    addresses: Sequence[Address],
    *,
    clock: Clock,
) -> LocalFacts:
    """Look around; whatever is in the way becomes a fact."""
    seen = probe_landing(landing, dead_letters)
    newest = sorted(seen.landed, key=lambda each: each.path.parent.name)[-_CHECKED_FILES:]
    folders = [data_dir, warehouse.path.parent]
    return LocalFacts(
        now=clock(),
        data_dir=data_dir,
        unwritable=next((path for path in folders if not _is_writable(path)), None),
        free_bytes=shutil.disk_usage(_existing(data_dir)).free,
        landing=seen,
        checked=len(newest),
        corrupt=tuple(filter(None, [seen.landed_problem, *map(_damage, newest)])),
        warehouse=probe_warehouse(warehouse, timeout_seconds=_LEASE_SECONDS),
        addresses=tuple(_tried(address) for address in addresses),
    )


def _existing(path: Path) -> Path:
    """Return the folder, or the nearest one above it that exists."""
    absolute = path.absolute()
    return next(each for each in (absolute, *absolute.parents) if each.exists())


def _is_writable(path: Path) -> bool:
    folder = _existing(path)
    return folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)


def _damage(micro_batch: MicroBatch) -> AnalyticsError | None:
    try:
        check_content(micro_batch)
        read_footer(micro_batch)
    except AnalyticsError as error:
        return error
    return None


def _tried(address: Address) -> Address:
    """Take an address for a moment."""
    if address.port == 0:
        return address
    try:
        found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)[0]
        with socket.socket(found[0], found[1]) as taken:
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            taken.bind(found[4])
    except OSError as error:
        return replace(address, problem=error.strerror or str(error))
    return address
