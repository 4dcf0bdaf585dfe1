"""What the facts about this machine mean, and what to do. Pure."""

from collections.abc import Iterator

from batch.doctor.check import Check, failed
from batch.doctor.facts import Address, LocalFacts
from batch.probe import WarehouseFacts
from stream.errors import WarehouseBusyError

_FAIL_FREE_BYTES = 256_000_000
_WARN_FREE_BYTES = 2_000_000_000


def judge_machine(facts: LocalFacts) -> list[Check]:
    """Judge what was seen on this machine."""
    return [
        _folder(facts),
        _disk(facts),
        _stream(facts),
        _landing(facts),
        _dead_letters(facts),
        *_warehouse(facts.warehouse),
        *(
            _address(address, is_streaming=facts.landing.is_streaming)
            for address in facts.addresses
            if address.port
        ),
    ]


def _folder(facts: LocalFacts) -> Check:
    if facts.unwritable:
        return Check(
            "folder",
            "fail",
            f"`{facts.unwritable}` cannot be written",
            "make it writable for this user, or set DATA_DIR and DUCKDB_PATH to places that are",
        )
    return Check("folder", "ok", f"`{facts.data_dir}` can be written")


def _disk(facts: LocalFacts) -> Check:
    text = f"{facts.free_bytes / 1e9:,.1f} GB free"
    if facts.free_bytes < _FAIL_FREE_BYTES:
        return Check("disk", "fail", text, "free some space: the stream stops landing when there is none")
    if facts.free_bytes < _WARN_FREE_BYTES:
        return Check("disk", "warn", text, "free some space before it runs out")
    return Check("disk", "ok", text)


def _stream(facts: LocalFacts) -> Check:
    if facts.landing.position_problem:
        return failed("stream", facts.landing.position_problem)
    if facts.landing.is_streaming:
        return Check("stream", "ok", "a worker is running")
    if facts.landing.position is None:
        return Check("stream", "ok", "never started here; `claude-analytics stream` takes the first position")
    return Check("stream", "warn", "no worker is running", "start one: `claude-analytics stream`")


def _landing(facts: LocalFacts) -> Check:
    if facts.corrupt:
        first = facts.corrupt[0]
        more = f" (and {len(facts.corrupt) - 1:,} more)" if len(facts.corrupt) > 1 else ""
        return Check("landing zone", "fail", f"{first.message}{more}", first.hint)
    landed = len(facts.landing.landed)
    which = "all" if facts.checked == landed else f"the newest {facts.checked:,}"
    return Check("landing zone", "ok", f"{landed:,} micro-batches; {which} read, and whole")


def _dead_letters(facts: LocalFacts) -> Check:
    letters = facts.landing.letters
    if letters is None:
        return Check("dead letters", "fail", "they cannot be read", "look into `dead_letter/` below DATA_DIR")
    if letters:
        return Check(
            "dead letters",
            "warn",
            f"{len(letters):,} documents were rejected",
            "`claude-analytics dead-letters list` says why",
        )
    return Check("dead letters", "ok", "none")


def _warehouse(facts: WarehouseFacts) -> Iterator[Check]:
    library = f"DuckDB {facts.duckdb_version}"
    if not facts.exists:
        yield Check("warehouse", "ok", f"{library}; no file yet, the first load makes it")
    elif isinstance(facts.problem, WarehouseBusyError):
        yield Check("lease", "warn", facts.problem.message, facts.problem.hint)
    elif facts.problem:
        yield failed("warehouse", facts.problem)
    else:
        yield Check("lease", "ok", "the warehouse is free")
        yield Check("warehouse", "ok", f"{library}; `{facts.path.name}` opens, its schema is up to date")
    if facts.pending:
        yield Check(
            "pending",
            "warn",
            f"{facts.pending:,} landed micro-batches are not loaded yet",
            "a running worker loads them; or run `claude-analytics load`",
        )


def _address(address: Address, *, is_streaming: bool) -> Check:
    where = f"{address.host}:{address.port}"
    if address.problem is None:
        return Check("port", "ok", f"`{where}` is free for metrics ({address.setting})")
    if is_streaming and address.setting == "METRICS_PORT":
        return Check("port", "ok", f"`{where}` is in use, by the running worker as it seems")
    return Check(
        "port",
        "warn",
        f"`{where}` cannot be had: {address.problem}",
        f"set {address.setting} to a free port, or to 0 for no metrics",
    )
