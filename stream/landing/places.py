"""Which landing zone the settings mean: a folder, or objects; for a folder nothing else is imported."""

from dataclasses import dataclass

from stream.clock import Clock
from stream.errors import SettingsError
from stream.landing.dead_letters import DeadLetterStore
from stream.landing.fenced import FencedZone
from stream.landing.zone import LandingZone
from stream.settings import DataSettings
from stream.storage.prefixed import Prefixed
from stream.storage.storage import Storage

AnyZone = LandingZone | FencedZone
"""A landing zone of either kind."""


@dataclass(frozen=True)
class Places:
    """Where micro-batches and dead letters go."""

    landing: AnyZone
    dead_letters: DeadLetterStore


def places(data: DataSettings, *, clock: Clock) -> Places:
    """Return the landing zone and the dead letters of the settings.

    Raises:
        SettingsError: The extra for object stores is not installed.
        StorageRefusedError: The object store cannot be used.
    """
    if not data.is_remote:
        return Places(
            LandingZone(data.landing_dir, clock=clock), DeadLetterStore(data.dead_letter_dir, clock=clock)
        )
    storage = object_storage(data)
    return Places(
        FencedZone(storage, clock=clock), DeadLetterStore(Prefixed(storage, "dead_letter"), clock=clock)
    )


def object_storage(data: DataSettings) -> Storage:
    """Open the object store of DATA_URL; no request is made yet.

    Raises:
        SettingsError: DATA_URL is a folder, or the extra for object stores is not installed.
        StorageRefusedError: The object store cannot be used.
    """
    if data.url is None or not data.is_remote:
        raise SettingsError(
            "DATA_URL names no object store", hint="set it to `s3://bucket/prefix`, `gs://…` or `az://…`"
        )
    try:
        from stream.storage.objects import ObjectStorage  # noqa: PLC0415 - an extra
    except ModuleNotFoundError as error:
        raise SettingsError(
            f"cannot use DATA_URL `{data.url}`: `{error.name}` is not installed",
            hint="`pip install 'claude-analytics[lake]'`",
        ) from error
    return ObjectStorage(data.url)
