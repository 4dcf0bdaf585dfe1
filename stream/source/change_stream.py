"""The change stream over raw `getMore` replies, opened again for ever while the reason to fail may pass."""

import random
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pymongo.errors import OperationFailure, PyMongoError

from stream.core.change_event import Reply
from stream.core.changes import behind
from stream.core.partition import WHOLE, Partition
from stream.core.position import Fingerprint, Position, cluster_time_of_token
from stream.core.split_event import SPLIT_STAGE, SplitEvents
from stream.errors import AnalyticsError, EventTooLargeError, SourceUnsuitableError, StepFailedError
from stream.landing.lane_writer import LaneWriter
from stream.logs import Logger
from stream.metrics import StreamMetrics
from stream.settings import MongoSettings
from stream.source.client import Client, explained, fingerprint, is_passing, lacks_stage, too_large
from stream.source.majority import majority_of, require_majority
from stream.source.namespace import names_near, require_collection
from stream.source.raw_cursor import RawCursor
from stream.stop import StopSignal

PIPELINE_VERSION = "1"
"""Part of a position's fingerprint: changed together with the pipeline below."""

_UNUSED_FIELDS = {"updateDescription": 0, "ns": 0, "lsid": 0, "txnNumber": 0, "wallTime": 0}
_AWAIT_MS = 500
_LEAST_AWAIT_MS = 50
_REPLY_SIZE_BYTES = 1_000_000
_FIRST_BATCH_SIZE = 250
_FIRST_BACKOFF_SECONDS = 0.2
_MAX_BACKOFF_SECONDS = 30.0
_CUT_OFF_TWICE = 2
_CUT_OFF_ALWAYS = 6


class ChangeCursor:
    """One server-side cursor over a change stream.

    Args:
        client: Its connections are used.
        settings: Which collection.
        batch_size: Events per reply, at most.
        token: Where to continue; None begins at the present.
        partition: Whose events to give.
        await_ms: How long the server waits for an event before it answers that there is none.
    """

    def __init__(
        self,
        client: Client,
        settings: MongoSettings,
        *,
        batch_size: int,
        token: Mapping[str, Any] | None,
        partition: Partition = WHOLE,
        await_ms: int = _AWAIT_MS,
    ) -> None:
        self._await_ms = await_ms
        self._collection = settings.collection
        self._cursor = RawCursor(
            client,
            settings,
            first_batch_size=_FIRST_BATCH_SIZE,
            max_batch_size=batch_size,
            reply_size_bytes=_REPLY_SIZE_BYTES,
            # Few events are few because there are no more.
            min_reply_size_bytes=_REPLY_SIZE_BYTES // 8,
        )
        stage: dict[str, Any] = {"fullDocument": "updateLookup"}
        if token is not None:
            # Unlike resumeAfter, startAfter also continues behind an invalidate event.
            stage["startAfter"] = token
        pipeline: list[Mapping[str, Any]] = [
            {"$changeStream": stage},
            *partition.stages,
            {"$project": _UNUSED_FIELDS},
        ]
        try:
            self.first_reply = self._open(pipeline)
        except BaseException:
            self._cursor.close()
            raise

    def _open(self, pipeline: list[Mapping[str, Any]]) -> Reply:
        """Let the server split large events, if it can."""
        try:
            return self._aggregate([*pipeline, SPLIT_STAGE])
        except OperationFailure as error:
            if not lacks_stage(error):
                raise
        return self._aggregate(pipeline)

    def _aggregate(self, pipeline: list[Mapping[str, Any]]) -> Reply:
        return self._cursor.open(
            {
                "aggregate": self._collection,
                "pipeline": pipeline,
                "cursor": {"batchSize": 0},
                "readConcern": {"level": "majority"},
            }
        )

    def next_reply(self) -> Reply:
        """Wait for events, for the time set at most; an empty reply still moves the token on.

        Raises:
            PyMongoError: The cursor is of no more use.
        """
        return self._cursor.next_reply(maxTimeMS=self._await_ms)

    def close(self) -> None:
        """Free the cursor on the server, as far as the server can be reached."""
        self._cursor.close()


def start_position(
    client: Client,
    settings: MongoSettings,
    lane: LaneWriter,
    *,
    from_now: bool,
    log: Logger | None,
    begin: Position | None = None,
) -> Position:
    """Return the lane's position; if it has none, take the present and save it, before anything is read.

    Args:
        client: To the source.
        settings: Which collection.
        lane: Whose writer the caller is.
        from_now: Take the present even if there is a position.
        log: Told if history is left to a backfill; None for the backfill itself.
        begin: Where a lane without a position begins, in place of the present.

    Raises:
        PositionMismatchError: The lane's position belongs to another source.
        AnalyticsError: The source cannot be used.
    """
    source = fingerprint(client, settings, pipeline=PIPELINE_VERSION)
    saved = None if from_now else lane.position() or begin
    if saved is not None:
        saved.require_source(source)
        return saved
    position = present_position(client, settings, source)
    try:
        has_history = client[settings.database][settings.collection].find_one({}, {"_id": 1}) is not None
    except PyMongoError as error:
        raise explained(error, doing=f"follow `{settings.namespace}`") from error
    if from_now:
        lane.save_position(position, behind=lane.newest())
    else:
        position = lane.begin(position)
    if has_history and log:
        log.warning(
            "history_not_read",
            namespace=settings.namespace,
            from_instant=position.instant.isoformat(),
            hint="the stream begins at the present; `claude-analytics backfill` reads what is there already",
        )
    return position


def warn_of_missing(client: Client, settings: MongoSettings, log: Logger) -> None:
    """Say so if there is no such collection: it may be a slip of the pen, and nothing would ever arrive.

    Raises:
        AnalyticsError: The source cannot be used.
    """
    try:
        if require_collection(client, settings) is not False:
            return
        near = names_near(client, settings)
    except PyMongoError as error:
        raise explained(error, doing=f"connect to MongoDB for `{settings.namespace}`") from error
    log.warning(
        "collection_missing",
        namespace=settings.namespace,
        names_near=near,
        hint="correct MONGO_DB and MONGO_COLLECTION, upper and lower case too; if it is still to be made, "
        "all is well",
    )


def present_position(client: Client, settings: MongoSettings, source: Fingerprint) -> Position:
    """Ask where the change stream stands now; nothing is saved.

    Args:
        client: To the source.
        settings: Which collection.
        source: What the position will belong to.

    Raises:
        AnalyticsError: The source cannot be used.
    """
    doing = f"follow `{settings.namespace}`"
    try:
        majority = majority_of(client)  # before the stream: it never lies ahead of what begins here
        if majority and not majority.confirmed:
            require_majority(client, settings.namespace)  # to open the stream would take until one is back
            majority = majority_of(client)
        cursor = ChangeCursor(client, settings, batch_size=1, token=None)
        reply = cursor.first_reply
        cursor.close()
    except PyMongoError as error:
        raise explained(error, doing=doing) from error
    if reply.token is None:
        raise SourceUnsuitableError(
            f"cannot {doing}: the server gives no resume token", hint="MongoDB 4.0.7 or newer is needed"
        )
    time = cluster_time_of_token(reply.token) or reply.operation_time
    anchor = majority.confirmed if majority else None
    return Position(reply.token, time, source, is_beginning=True, anchor=anchor)


class ChangeStream:
    """An endless sequence of replies behind one position.

    Network errors, elections and lost cursors are waited out, with a backoff that grows to half a minute;
    each time it goes on behind the last reply given, so nothing is left out and nothing comes twice.

    A server whose reply would be over 16 MB cuts the connection without a word. Giant `_id`s make it do so:
    each is in an event twice, and in two resume tokens. Cut off twice, events are asked for one by one.

    Args:
        position: Where it begins.
        require: Checks the position before a cursor is opened there; what it raises ends the stream.
        partition: Whose events to give.
        idle_seconds: For how long without an event whoever reads will wait; None for ever.
    """

    def __init__(
        self,
        client: Client,
        settings: MongoSettings,
        *,
        batch_size: int,
        position: Position,
        stop: StopSignal,
        metrics: StreamMetrics,
        log: Logger,
        require: Callable[[Position], None] = lambda _position: None,
        partition: Partition = WHOLE,
        idle_seconds: float | None = None,
    ) -> None:
        self._partition = partition
        # An empty reply says that all is read: where that is the end, it is not to be waited for.
        self._await_ms = _AWAIT_MS
        if idle_seconds is not None:
            self._await_ms = min(max(round(idle_seconds * 1000), _LEAST_AWAIT_MS), _AWAIT_MS)
        self._client = client
        self._require = require
        self._settings = settings
        self._usual_batch_size = self._batch_size = batch_size
        self._cut_off = 0
        self._position = position
        self._stop = stop
        self._metrics = metrics
        self._log = log

    def replies(self) -> Iterator[Reply]:
        """Return replies until the stop signal is set.

        Raises:
            AnalyticsError: The stream cannot go on: history lost, access denied, an unknown refusal.
        """
        backoff_seconds = _FIRST_BACKOFF_SECONDS
        while not self._stop.is_set:
            try:
                for reply in self._one_cursor():
                    yield reply
                    backoff_seconds = _FIRST_BACKOFF_SECONDS
                # Closed by the server: were it to do so each time, this would spin.
                self._stop.wait(backoff_seconds)
            except PyMongoError as error:
                problem = explained(error, doing=f"follow `{self._settings.namespace}`")
                if isinstance(problem, EventTooLargeError) and self._batch_size > 1:
                    self._batch_size = 1  # no reply must fail but the one with that very event
                    continue
                if not is_passing(error):
                    raise problem from error
                if self._cut_off >= _CUT_OFF_ALWAYS:
                    raise too_large(f"follow `{self._settings.namespace}`") from error
                self._wait(problem, backoff_seconds)
            except StepFailedError as problem:
                self._wait(problem, backoff_seconds)
            backoff_seconds = min(backoff_seconds * 2, _MAX_BACKOFF_SECONDS)

    def _one_cursor(self) -> Iterator[Reply]:
        self._require(self._position)
        if self._cut_off >= _CUT_OFF_TWICE:
            self._batch_size = 1
        cursor = ChangeCursor(
            self._client,
            self._settings,
            batch_size=self._batch_size,
            token=self._position.token,
            partition=self._partition,
            await_ms=self._await_ms,
        )
        events = SplitEvents()
        self._cut_off += 1  # until there is a reply
        try:
            while not self._stop.is_set:
                reply = events.joined(cursor.next_reply())
                is_over = self._cut_off > _CUT_OFF_TWICE
                self._cut_off = 0
                if reply is None:
                    continue
                self._position = behind(reply, self._position)
                yield reply
                if is_over:
                    self._batch_size = self._usual_batch_size
                if is_over or reply.cursor_id == 0:
                    return
        finally:
            cursor.close()

    def _wait(self, problem: AnalyticsError, seconds: float) -> None:
        self._metrics.reconnects.inc()
        self._log.warning("source_unavailable", problem=problem.message, retry_in_seconds=round(seconds, 1))
        self._stop.wait(seconds * random.uniform(0.5, 1))  # noqa: S311 - spreads retries, guards nothing
