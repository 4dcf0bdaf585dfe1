"""Talking to MongoDB: one client, and one place that says what its errors mean."""

import re
import warnings
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from dns.exception import DNSException
from pymongo import MongoClient
from pymongo.errors import (
    AutoReconnect,
    ConfigurationError,
    ConnectionFailure,
    InvalidURI,
    OperationFailure,
    PyMongoError,
)

from stream.core.position import Fingerprint
from stream.errors import (
    AccessDeniedError,
    AnalyticsError,
    EventTooLargeError,
    HistoryLostError,
    MajorityLostError,
    SettingsError,
    SourceUnreachableError,
    SourceUnsuitableError,
    StepFailedError,
    mask_secrets,
)
from stream.settings import MongoSettings

Client = MongoClient[dict[str, Any]]

_HISTORY_LOST_CODES = frozenset({136, 260, 280, 286})
_HISTORY_LOST_HINT = (
    "run `claude-analytics stream --on-history-lost=resnapshot`: it reads the collection again and then "
    "removes what is gone, with the old rows readable meanwhile; and enlarge the oplog"
)
_ACCESS_CODES = frozenset({11, 13, 18, 8000})
_TOO_LARGE_CODES = frozenset({10334})
_NO_SUCH_STAGE_CODES = frozenset({40324})
_NO_REPLICA_SET_CODES = frozenset({40573})
_NO_COLLECTION_CODES = frozenset({166})
_NO_MAJORITY_CODES = frozenset({134})
_CURSOR_GONE_CODES = frozenset({43, 237})
_REFUSED_CODES = frozenset({13, 20, 59})
"""No privilege; no `local` behind a `mongos`; no such command, as on servers that are rented in part."""
_ATLAS_CODE = 8000
_REFUSED_BY_ATLAS = re.compile("not (authorized|allowed)", re.IGNORECASE)
"""What Atlas says with that code of a command; of a login it says something else."""
_SOCKET_TIMEOUT_MS = 60_000
_QUOTED_PART = re.compile(r"""["'][^"']*@[^"']*["']""")
"""What PyMongo quotes of a URI it takes apart wrongly: with an `@` in it, it may be the end of a password."""
_LEAST_FILL = 0.0001
_DRIVER_DETAILS = re.compile(r",? \(configured timeouts|, full error|, Timeout: ")
"""Where a message of the driver stops speaking to people."""
_UNTRUSTED = "certificate verify failed"
_NO_TLS = "SSL handshake failed"
_WRONG_SET = "No replica set members available for replica set name"
_UNKNOWN_HOST = re.compile(
    r"name or service not known|nodename nor servname|name resolution|getaddrinfo|no address associated",
    re.IGNORECASE,
)
_READING_FROM = re.compile(r"(?<=[?&])(readPreference(?:Tags)?|maxStalenessSeconds)=[^&]*&?", re.IGNORECASE)
"""Options that would send readers elsewhere than to the primary, which alone knows what is newest."""
_TLS_HINT = (
    "tlsCAFile in MONGO_URI must name a readable file with the certificates of the authority that signed the "
    "server's, and tlsCertificateKeyFile one with certificate and key of this client; the server's must be "
    "for the host as MONGO_URI writes it, and not have expired"
)


def connect(settings: MongoSettings) -> Client:
    """Make a client; it connects when it is first used.

    Raises:
        SettingsError: MONGO_URI cannot be understood.
        SourceUnreachableError: The name server does not know its hosts, or does not answer.
    """
    uri = settings.uri.get_secret_value()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # `ignored_options` has them for whoever asks
            client: Client = MongoClient(
                _READING_FROM.sub("", uri).rstrip("?&"),
                appname="claude-analytics",
                serverSelectionTimeoutMS=round(settings.connect_timeout_seconds * 1000),
                connectTimeoutMS=round(settings.connect_timeout_seconds * 1000),
                socketTimeoutMS=_SOCKET_TIMEOUT_MS,
                readConcernLevel="majority",
            )
    except OSError as error:
        raise SettingsError(f"cannot use the certificates of MONGO_URI: {error}", hint=_TLS_HINT) from None
    except (InvalidURI, ConfigurationError, ValueError) as error:
        if isinstance(error.__cause__, DNSException):
            raise SourceUnreachableError(
                f"cannot find the hosts behind `{urlsplit(uri).hostname}`: {error}",
                hint="check that DNS works on this machine, and that MONGO_URI names the host right: "
                "`mongodb+srv://` looks for its record `_mongodb._tcp.<host>`",
            ) from None
        raise SettingsError(
            f"cannot use MONGO_URI: {_QUOTED_PART.sub('`***`', mask_secrets(str(error)))}",
            hint="check scheme, hosts, ports and options; in user and password, characters such as `/`, `@` "
            "and `:` must be percent-encoded",
        ) from None
    return client


def ignored_options(settings: MongoSettings) -> list[str]:
    """Return what MONGO_URI asks for and does not get, a sentence each."""
    uri = settings.uri.get_secret_value()
    found = [
        f"`{match[1]}` has no effect: everything is read from the primary, which alone knows what is newest"
        for match in _READING_FROM.finditer(uri)
    ]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with suppress(PyMongoError, ValueError):  # `connect` says what is wrong with it
            MongoClient(_READING_FROM.sub("", uri).rstrip("?&"), connect=False).close()
    return found + [mask_secrets(str(each.message)) for each in caught]


def explained(error: PyMongoError, *, doing: str) -> AnalyticsError:  # noqa: PLR0911 - an answer to each cause
    """Say what an error of MongoDB means and what to do about it.

    Args:
        error: What PyMongo raised.
        doing: What failed, after "cannot", e.g. "read `claude_logs.conversations`".
    """
    text = f"cannot {doing}: {_DRIVER_DETAILS.split(mask_secrets(str(error)), maxsplit=1)[0]}"
    code = error.code if isinstance(error, OperationFailure) else None
    if code in _HISTORY_LOST_CODES:
        return HistoryLostError(
            text,
            hint=_HISTORY_LOST_HINT,
        )
    if code in _ACCESS_CODES:
        return AccessDeniedError(
            text,
            hint="check user, password and authSource in MONGO_URI; "
            "the account needs `find` and `changeStream` on the collection",
        )
    if code in _TOO_LARGE_CODES:
        return too_large(doing)
    if code in _NO_REPLICA_SET_CODES:
        return _unsuitable(text)
    if code in _NO_COLLECTION_CODES:
        return SourceUnsuitableError(
            text, hint="set MONGO_DB and MONGO_COLLECTION to the collection that holds the documents"
        )
    if code in _NO_MAJORITY_CODES:
        return MajorityLostError(text, hint="bring the missing members back: `rs.status()` names them")
    if isinstance(error, ConfigurationError):
        return SettingsError(text, hint="correct MONGO_URI")
    if isinstance(error, ConnectionFailure):
        return _unreachable(text)
    return StepFailedError(text, hint="try again; if it stays, look into the server's log")


def too_large(doing: str) -> EventTooLargeError:
    """Return the error that a change event is in the way.

    Args:
        doing: As for `explained`.
    """
    return EventTooLargeError(
        f"cannot {doing}: a change event is over 16 MB, and this server can neither send nor split it",
        hint="all changes before it have landed; MongoDB 6.0.9, 7.0 or newer can split it: upgrade, and "
        "start again; or leave it out with `claude-analytics stream --from-now`, and then run "
        "`claude-analytics backfill` and `claude-analytics verify`; where the server's log says "
        "`BSONObjectTooLarge`, an `_id` of megabytes is the cause, and no server can send that event",
    )


def _unreachable(text: str) -> AnalyticsError:
    if _UNTRUSTED in text:
        return SettingsError(text, hint=_TLS_HINT)
    if _WRONG_SET in text:
        return SettingsError(
            text,
            hint="the set has another name: correct `replicaSet` in MONGO_URI (`rs.status().set` tells it)",
        )
    if _NO_TLS in text:
        hint = (
            "the server may speak no TLS on this port: leave `tls=true` out of MONGO_URI then; else its log "
            "says why it ended the handshake"
        )
    elif _UNKNOWN_HOST.search(text):
        hint = (
            "this machine does not know a host by that name: if MONGO_URI names another one, the set tells "
            "its members' names, so add them to DNS or `/etc/hosts`, or, for a set of one member, add "
            "`directConnection=true`"
        )
    else:
        hint = (
            "check that MongoDB runs and that MONGO_URI names it (with `tls=true` if it wants TLS); without "
            "one at hand, `claude-analytics mongo` starts one"
        )
    return SourceUnreachableError(text, hint=hint)


def _unsuitable(text: str) -> SourceUnsuitableError:
    return SourceUnsuitableError(
        text,
        hint="change streams need a replica set or a sharded cluster; one server is enough: start it with "
        "`--replSet rs0` and run `rs.initiate()` once",
    )


def is_passing(error: PyMongoError) -> bool:
    """Whether a change stream may simply be opened again after this error."""
    if isinstance(error, OperationFailure):
        return error.code in _CURSOR_GONE_CODES or error.has_error_label("ResumableChangeStreamError")
    return isinstance(error, AutoReconnect | ConnectionFailure)


def is_refused(error: OperationFailure) -> bool:
    """Whether the account may not ask this; a login that is refused is no such thing, and concerns all."""
    if error.code == _ATLAS_CODE:
        return _REFUSED_BY_ATLAS.search(str(error)) is not None
    return error.code in _REFUSED_CODES


def lacks_stage(error: OperationFailure) -> bool:
    """Whether the server does not know a stage of the pipeline; its version alone does not tell."""
    return error.code in _NO_SUCH_STAGE_CODES


def fingerprint(client: Client, settings: MongoSettings, *, pipeline: str) -> Fingerprint:
    """Ask the server who it is.

    Raises:
        SourceUnreachableError: It does not answer.
        SourceUnsuitableError: It is a server without a replica set.
        AccessDeniedError: It refuses the credentials.
    """
    doing = f"connect to MongoDB for `{settings.namespace}`"
    try:
        hello = client.admin.command("hello")
        is_sharded = hello.get("msg") == "isdbgrid"
        if not is_sharded and "setName" not in hello:
            raise _unsuitable(
                f"cannot follow `{settings.namespace}`: the server is not part of a replica set"
            )
        cluster_id = _cluster_id(client, is_sharded=is_sharded)
    except PyMongoError as error:
        raise explained(error, doing=doing) from error
    return Fingerprint(
        cluster_id=cluster_id,
        set_name=hello.get("setName", ""),
        namespace=settings.namespace,
        pipeline=pipeline,
    )


def _cluster_id(client: Client, *, is_sharded: bool) -> str | None:
    """Read the id that the cluster got when it was made; None without the privilege to."""
    try:
        if is_sharded:
            version = client["config"]["version"].find_one() or {}
            return str(version["clusterId"]) if "clusterId" in version else None
        config = client.admin.command("replSetGetConfig")["config"]
        return str(config["settings"]["replicaSetId"])
    except OperationFailure as error:
        if not is_refused(error):
            raise
        return None


@dataclass(frozen=True)
class Oplog:
    """How far the server's oplog reaches.

    Attributes:
        first_second: Of its oldest entry, seconds since 1970.
        last_second: Of its newest entry, seconds since 1970.
        fill: How full it is, 0 to 1; 1 if the account may not see it.
    """

    first_second: int
    last_second: int
    fill: float

    @property
    def window_seconds(self) -> int:
        """Time it reaches back."""
        return self.last_second - self.first_second

    def headroom_seconds(self, second: int) -> int:
        """Estimate how long a point stays readable if writing goes on at the present rate.

        An oplog that is not full yet reaches back further once it is; a full one drops its oldest entry with
        each new one, so that a point's headroom is its distance from the oldest.
        """
        full_window = self.window_seconds / max(self.fill, _LEAST_FILL)
        return max(0, round(full_window - (self.last_second - second)))


def read_oplog(client: Client) -> Oplog | None:
    """Measure the oplog; None without the privilege to.

    Raises:
        PyMongoError: The server does not answer.
    """
    try:
        oplog = client["local"]["oplog.rs"]
        first = oplog.find_one({}, {"ts": 1}, sort=[("$natural", 1)])
        last = oplog.find_one({}, {"ts": 1}, sort=[("$natural", -1)])
    except OperationFailure as error:
        if not is_refused(error):
            raise
        return None
    if first is None or last is None:
        return None
    return Oplog(first["ts"].time, last["ts"].time, _fill(client))


def _fill(client: Client) -> float:
    try:
        stats = next(client["local"]["oplog.rs"].aggregate([{"$collStats": {"storageStats": {}}}]))
        return min(1.0, float(stats["storageStats"]["size"]) / float(stats["storageStats"]["maxSize"]))
    except OperationFailure as error:
        if not is_refused(error):
            raise
        return 1.0
    except (StopIteration, KeyError, ZeroDivisionError):
        return 1.0
