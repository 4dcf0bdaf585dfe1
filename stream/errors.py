"""Every error this product raises on purpose.

AnalyticsError                     every error has a message (what failed, and why) and a hint (what to do)
├── TransientError                 exit code 1: trying again may help
│   ├── SourceUnreachableError     MongoDB does not answer
│   ├── MajorityLostError          no majority of the replica set confirms writes
│   ├── WarehouseBusyError         another process holds the DuckDB file
│   ├── LandingFullError           the disk of the landing zone is full
│   ├── StorageUnavailableError    the object store does not answer
│   ├── StepFailedError            a step of the pipeline failed; its own message says why
│   ├── CatalogUnreachableError    the catalog of the Iceberg tables does not answer
│   └── MetabaseUnreachableError   Metabase does not answer, or is still starting
└── TerminalError                  exit code 2: a person must act
    ├── SettingsError              a setting is missing or wrong
    ├── SourceUnsuitableError      MongoDB answers, but is no replica set (no change streams)
    ├── AccessDeniedError          wrong credentials, or a privilege is missing
    ├── EventTooLargeError         a change event is larger than the server can send
    ├── HistoryLostError           the saved position has left the oplog
    ├── HistoryRewoundError        the source went back in time: it lacks changes that have landed
    ├── BackfillMismatchError      the unfinished backfill is of another collection
    ├── PositionMismatchError      the saved position belongs to another cluster, namespace or pipeline
    ├── CollectionInvalidatedError the collection was dropped or renamed
    ├── AlreadyRunningError        a second worker for the same folder
    ├── TooManyDeadLettersError    more documents are rejected than can be right
    ├── LandingNotWritableError    the landing zone cannot be written
    ├── StorageRefusedError        the object store refuses the credentials, or has no such bucket
    ├── CatalogRefusedError        the catalog of the Iceberg tables refuses the credentials
    ├── MicroBatchCorruptError     a landed file cannot be read
    ├── LandingTrimmedError        old landed files were removed, so they cannot rebuild the warehouse
    ├── WarehouseCorruptError      the DuckDB file is damaged, or no DuckDB file
    ├── SchemaTooNewError          written by a newer version of this program
    ├── MongodMissingError         no mongod program for the embedded MongoDB
    ├── MongodFailedError          the embedded mongod does not start, or does not end
    ├── ImportPathError            nothing importable at a path
    ├── MartsMissingError          the star schema has not been built, or by an older version
    ├── ChecksFailedError          data broke a rule that a person must look at
    ├── MetabaseRefusedError       Metabase does not let us in, or does not take a request
    ├── PurgeIncompleteError       something of what was to be purged is still there
    └── MetabaseUnsuitableError    Metabase is too old, lacks the DuckDB driver, or is something else
"""

import re
from typing import ClassVar

# Up to the last `@`: a password that should have been percent-encoded is a secret too.
_PASSWORD_IN_URI = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.-]*://)(?P<user>[^\s:]*):(?P<password>\S*)@", re.IGNORECASE
)
_SECRET_OPTION = re.compile(
    r"(?P<name>\w*(?:password|passphrase|secret|session_token))(?P<is>[=:])(?P<value>[^\s&,]+)", re.IGNORECASE
)


def mask_secrets(text: str) -> str:
    """Replace the password of every URI in a text by `***`, and secrets among its options.

    The user name stays, to tell accounts apart. In doubt too much is masked rather than too little.
    """
    return _SECRET_OPTION.sub(r"\g<name>\g<is>***", _PASSWORD_IN_URI.sub(r"\g<scheme>\g<user>:***@", text))


class AnalyticsError(Exception):
    """What failed, why, and what to do about it.

    Attributes:
        message: Lower case, values in backticks, secrets masked.
        hint: What the reader should do or run next.
        exit_code: What a command that ends with this error exits with.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str) -> None:
        self.message = mask_secrets(message)
        self.hint = mask_secrets(hint)
        super().__init__(self.message)


class TransientError(AnalyticsError):
    """Trying again may help."""

    exit_code = 1


class TerminalError(AnalyticsError):
    """Trying again does not help: a person must act."""

    exit_code = 2


class SourceUnreachableError(TransientError):
    """MongoDB does not answer."""


class MajorityLostError(TransientError):
    """No majority of the replica set's members confirms writes, and only what it confirms is read."""


class WarehouseBusyError(TransientError):
    """Another process holds the DuckDB file."""


class LandingFullError(TransientError):
    """The disk of the landing zone is full; nothing half-written is left behind."""


class StorageUnavailableError(TransientError):
    """The object store does not answer; nothing half-written is left behind."""


class StepFailedError(TransientError):
    """A step of the pipeline failed."""


class CatalogUnreachableError(TransientError):
    """The catalog of the Iceberg tables does not answer."""


class MetabaseUnreachableError(TransientError):
    """Metabase does not answer, or is still starting."""


class SettingsError(TerminalError):
    """A setting is missing or wrong."""


class SourceUnsuitableError(TerminalError):
    """MongoDB answers, but cannot serve change streams."""


class AccessDeniedError(TerminalError):
    """MongoDB refuses the credentials, or they lack a privilege."""


class EventTooLargeError(TerminalError):
    """A change event is larger than the server can send, and the server cannot split it."""


class HistoryLostError(TerminalError):
    """The saved position has left the oplog: changes since then can no longer be read."""


class HistoryRewoundError(TerminalError):
    """The source went back in time: changes that have landed are not in its history."""


class PositionMismatchError(TerminalError):
    """The saved position belongs to another cluster, namespace or pipeline."""


class BackfillMismatchError(TerminalError):
    """The unfinished backfill belongs to another collection, or takes other documents of it."""


class CollectionInvalidatedError(TerminalError):
    """The collection was dropped or renamed, which ends its change stream."""


class AlreadyRunningError(TerminalError):
    """Another process already does this job for the same folder."""


class TooManyDeadLettersError(TerminalError):
    """More documents are rejected than can be right."""


class LandingNotWritableError(TerminalError):
    """A folder of the landing zone cannot be written."""


class StorageRefusedError(TerminalError):
    """The object store refuses the credentials, or lacks the bucket, or cannot write on condition."""


class CatalogRefusedError(TerminalError):
    """The catalog of the Iceberg tables refuses the credentials, or lacks the warehouse."""

    @classmethod
    def with_words(cls, words: str) -> "CatalogRefusedError":
        """Return the error for what the catalog, or a client of it, has said."""
        return cls(
            f"the catalog of the Iceberg tables refuses: {words}",
            hint="check CATALOG_URI, CATALOG_WAREHOUSE, the credentials in CATALOG_PROPERTIES and what they "
            "may do there; `claude-analytics doctor` tries them",
        )


class MicroBatchCorruptError(TerminalError):
    """A landed micro-batch cannot be read."""


class LandingTrimmedError(TerminalError):
    """The landing zone no longer reaches back to its start, so the warehouse cannot be made from it alone."""


class WarehouseCorruptError(TerminalError):
    """The DuckDB file is damaged, or is no DuckDB file."""


class SchemaTooNewError(TerminalError):
    """State on disk was written by a newer version of this program."""

    @classmethod
    def require_known(cls, what: str, *, version: int, known: int) -> None:
        """Check the version of what was read, before anything else of it is believed.

        Raises:
            SchemaTooNewError: This program does not know it yet.
        """
        if version > known:
            raise cls(
                f"{what} has schema version {version}, this program knows {known}",
                hint="run the newer version of claude-analytics that wrote it",
            )


class MongodMissingError(TerminalError):
    """No mongod program is at hand for the embedded MongoDB."""


class MongodFailedError(TerminalError):
    """The embedded mongod does not start, or does not end."""


class ImportPathError(TerminalError):
    """There is nothing importable at a path."""


class MartsMissingError(TerminalError):
    """The star schema has not been built, or by an older version of this program."""


class PurgeIncompleteError(TerminalError):
    """A purge has ended, and something of it is left."""


class ChecksFailedError(TerminalError):
    """Data broke a rule, so what depends on it was not done."""


class MetabaseRefusedError(TerminalError):
    """Metabase does not let us in, or does not take a request."""


class MetabaseUnsuitableError(TerminalError):
    """Metabase is too old, lacks the DuckDB driver, or is something else."""
