"""Tries an object store out, with an object of its own, and says what is not as the log needs it."""

import secrets

from batch.doctor.check import Check, failed
from stream.errors import AnalyticsError
from stream.storage.storage import Storage

_FOLDER = "doctor"


def judge_credentials(found: str | None) -> Check:
    """Say where the keys of the store are from.

    Args:
        found: Where, in words; None if neither the environment nor the files of the cloud's tools have any.
    """
    if found:
        return Check("credentials", "ok", f"from {found}")
    return Check(
        "credentials",
        "ok",
        "none in the environment, nor where the cloud's tools keep them: whoever this machine, container or "
        "pod is to the cloud is asked",
    )


def examine_store(storage: Storage) -> list[Check]:
    """Write, read, create on condition, list and delete; never raises for what it finds."""
    key = f"{_FOLDER}/{secrets.token_hex(8)}"
    try:
        storage.put(key, b"first")
        has_lost = not storage.create(key, b"second")
        is_whole = storage.get(key) == b"first"
        is_listed = any(each.key == key for each in storage.list_after(_FOLDER))
        storage.delete(key)
        is_gone = storage.get(key) is None
    except AnalyticsError as error:
        return [failed("store", error)]
    return [
        _store(storage.url, is_seen=is_listed and is_gone),
        _conditional(is_honoured=has_lost and is_whole),
    ]


def _store(url: str, *, is_seen: bool) -> Check:
    if is_seen:
        return Check("store", "ok", f"`{url}`: objects can be written, read, listed and deleted")
    return Check(
        "store",
        "fail",
        f"`{url}` does not list what was written, or still has what was deleted",
        "use a store that is consistent at once, as those of the large clouds are",
    )


def _conditional(*, is_honoured: bool) -> Check:
    if is_honoured:
        return Check("conditional writes", "ok", "honoured: of two workers on one lane, one loses the race")
    return Check(
        "conditional writes",
        "fail",
        "ignored: an object was replaced although it was to be written only where there is none",
        "use a store that honours `If-None-Match: *`; without it two workers could overwrite each other",
    )
