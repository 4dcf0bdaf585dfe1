"""What the facts about the source mean, and what to do. Pure."""

from collections.abc import Iterator

from batch.doctor.check import Check, failed
from batch.doctor.facts import Server, SourceFacts
from stream.clock import age_text
from stream.core.cluster_time import second_of
from stream.core.position import Position
from stream.errors import AnalyticsError, HistoryLostError, TransientError

_PROVEN_VERSION = "6.0"
_WARN_SKEW_SECONDS = 5
_LEAST_WINDOW_SECONDS = 24 * 3600
_LEAST_HEADROOM_SECONDS = 3600
_LEAST_FILL = 0.0001
_MEASURABLE_FILL = 0.5
"""An oplog that has only begun to fill drops nothing yet, whatever it reaches back to."""


def unreachable(problem: AnalyticsError) -> list[Check]:
    """Judge a source that nothing could be asked of."""
    return [failed("source", problem)]


def judge_source(facts: SourceFacts, position: Position | None) -> list[Check]:
    """Judge what was seen of the source."""
    if facts.collection_problem:
        return [_server(facts.server), _clock(facts.server), failed("collection", facts.collection_problem)]
    doing = [
        _server(facts.server),
        _clock(facts.server),
        _proven(facts.server),
        *_connection(facts),
        _collection(facts),
        _confirmation(facts),
        _ability("find", facts.majority_problem, f"{_documents(facts)} can be read with majority"),
        _ability("changeStream", facts.stream_problem, "a change stream can be opened"),
    ]
    optional = [*_features(facts), _oplog(facts, position)]
    return [*doing, *optional, *_position_in_source(facts, position)]


def _server(server: Server) -> Check:
    version = f"MongoDB {server.version}" if server.version else "MongoDB of a version that may not be seen"
    if server.is_sharded:
        return Check("source", "ok", f"{version}, sharded cluster")
    if server.set_name is None:
        return Check(
            "source",
            "fail",
            f"{version}, part of no replica set: it has no change streams",
            "one server is enough: start it with `--replSet rs0` and run `rs.initiate()` once; or run "
            "`claude-analytics mongo`",
        )
    return Check("source", "ok", f"{version}, replica set `{server.set_name}`")


def _clock(server: Server) -> Check:
    skew = server.skew_seconds
    text = f"the server's clock differs by {abs(skew):.1f} s from this machine's"
    if abs(skew) <= _WARN_SKEW_SECONDS:
        return Check("clock", "ok", text)
    return Check(
        "clock", "warn", text, "synchronise both clocks (NTP); ages in `status` are wrong by as much"
    )


def _proven(server: Server) -> Check:
    """Say what of this program was tried on a server of this version."""
    tried = "change streams, resumption, snapshots, drops and elections"
    split = "splitting events above 16 MB on recorded replies"
    major = ".".join(server.version.split(".")[:2])
    if major == _PROVEN_VERSION:
        return Check("proven", "ok", f"{tried} are tested on MongoDB {major}; {split}")
    return Check(
        "proven",
        "ok",
        f"{tried} are tested on MongoDB {_PROVEN_VERSION}, not on {major or 'this version'}; {split}: run "
        "`claude-analytics verify` now and then",
    )


def _connection(facts: SourceFacts) -> Iterator[Check]:
    for each in facts.ignored_options:
        yield Check("connection", "warn", each, "take the option out of MONGO_URI, or install what it needs")


def _collection(facts: SourceFacts) -> Check:
    if not facts.is_missing:
        return Check("collection", "ok", f"`{facts.namespace}` is a collection")
    near = " or ".join(f"`{name}`" for name in facts.names_near)
    return Check(
        "collection",
        "warn",
        f"there is no `{facts.namespace}` yet" + (f"; there is {near}" if near else ""),
        "correct MONGO_DB and MONGO_COLLECTION, upper and lower case too; if it is still to be made, go on",
    )


def _confirmation(facts: SourceFacts) -> Check:
    problem = facts.confirmation_problem
    if problem is None:
        return Check("majority", "ok", "a majority of the members confirms what is written")
    return Check("majority", "fail", problem.message, problem.hint)


def _ability(name: str, problem: AnalyticsError | None, text: str) -> Check:
    return failed(name, problem) if problem else Check(name, "ok", text)


def _documents(facts: SourceFacts) -> str:
    count = "documents" if facts.documents is None else f"about {facts.documents:,} documents"
    return f"`{facts.namespace}`: {count}"


def _features(facts: SourceFacts) -> Iterator[Check]:
    if facts.confirmation_problem:
        pass  # its line says it all
    elif facts.snapshot_problem and facts.server.set_name is not None:
        yield Check(
            "snapshot",
            "warn",
            facts.snapshot_problem.message,
            "nothing to do: `verify` reads with majority instead, and looks twice at what changes meanwhile",
        )
    elif facts.snapshot_problem is None:
        yield Check("snapshot", "ok", "documents can be read as of a cluster time")
    if facts.has_split_stage is not None:
        text = "has" if facts.has_split_stage else "has not"
        yield Check("large events", "ok", f"the server {text} the stage that splits events above 16 MB")
    if facts.has_partitions is not None:
        yield _partitions(has_hash=facts.has_partitions)
    if facts.has_images is not None:
        text = "are recorded; the stream needs none" if facts.has_images else "are off, and not needed"
        yield Check("images", "ok", f"pre- and post-images {text}")


def _partitions(*, has_hash: bool) -> Check:
    if has_hash:
        return Check(
            "partitions", "ok", "the server hashes keys (`$toHashedIndexKey`): STREAM_PARTITIONS works"
        )
    return Check(
        "partitions",
        "warn",
        "the server cannot hash keys (`$toHashedIndexKey`)",
        "leave STREAM_PARTITIONS at 1, or upgrade MongoDB",
    )


def _oplog(facts: SourceFacts, position: Position | None) -> Check:
    oplog = facts.oplog
    if oplog is None:
        return Check(
            "oplog",
            "warn",
            "how far it reaches back cannot be seen",
            "grant `find` on `local.oplog.rs` (the role `clusterMonitor` has it): then data loss is foreseen",
        )
    full_window = oplog.window_seconds / max(oplog.fill, _LEAST_FILL)
    text = f"reaches back {age_text(oplog.window_seconds)}, {oplog.fill:.0%} full"
    grow = "enlarge it: `db.adminCommand({replSetResizeOplog: 1, minRetentionHours: 72})`"
    if position is not None:
        headroom = oplog.headroom_seconds(second_of(position.cluster_time))
        text += f"; the saved position stays in it for {age_text(headroom)} at this rate of writing"
        if headroom < _LEAST_HEADROOM_SECONDS and oplog.fill >= _MEASURABLE_FILL:
            return Check("oplog", "warn", text, f"start the stream worker now, and {grow}")
    if full_window < _LEAST_WINDOW_SECONDS and oplog.fill >= _MEASURABLE_FILL:
        return Check("oplog", "warn", text, f"a worker that is down for longer loses changes: {grow}")
    return Check("oplog", "ok", text)


def _position_in_source(facts: SourceFacts, position: Position | None) -> Iterator[Check]:
    problem = facts.resume_problem
    if position is None or facts.stream_problem:
        return
    text = f"the stream stands at {position.instant:%Y-%m-%d %H:%M:%S} UTC"
    if problem is None:
        yield Check("position", "ok", f"{text}, and can go on from there")
    elif isinstance(problem, TransientError):
        yield Check("position", "warn", f"{text}; {problem.message}", problem.hint)
    else:
        lost = "changes since then are lost: " if isinstance(problem, HistoryLostError) else ""
        yield Check("position", "fail", f"{text}; {lost}{problem.message}", problem.hint)
