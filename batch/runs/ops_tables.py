"""What the platform tells about itself in SQL: schema `ops` of the warehouse, published beside the marts.

    ops.runs              one row per step of a run that had something to do, copied from the journal
    ops.checks            one row per validation and layer: how many rules did not hold
    ops.findings          one row per run and check that did not hold: what it found, and an example
    ops.deliveries        one row per UTC day and lane: what landed
    ops.delivery_lags     one row per UTC day, stage and lag: micro-batches of the stream that took so long
    ops.published_build   one row: the build being published, and how far it reaches; none before the first

The dashboard Pipeline Health reads these, so its figures are as old as the published build.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime

import duckdb

from batch.runs.journal import StepRun
from stream import sql
from stream.core.cluster_time import COUNT_BITS

PUBLISHED = ("checks", "deliveries", "delivery_lags", "findings", "published_build", "runs")
"""Tables and views of `ops` that readers see; the others are the build's own notes."""

_PREPARE = """
create schema if not exists ops;
create table if not exists ops.runs (
    run_id varchar not null, step varchar not null, "trigger" varchar not null,
    started_at timestamptz not null, ended_at timestamptz, outcome varchar not null,
    rows bigint, attempts bigint not null, error varchar not null, hint varchar not null
);
create table if not exists ops.checks (
    run_id varchar not null, checked_at timestamptz not null, layer varchar not null, failed bigint not null
);
create table if not exists ops.findings (
    run_id varchar not null, checked_at timestamptz not null, rule varchar not null,
    severity varchar not null, description varchar not null, found varchar not null, example varchar not null
);
create table if not exists ops.published_build (
    build_id varchar not null, created_at timestamptz not null, source_at timestamptz,
    micro_batches bigint not null
);
create or replace view ops.deliveries as
select
    cast(timezone('UTC', landed_at) as date) as day,
    case when lane = 'stream' then 'stream' else 'backfill' end as lane,
    count(*) as micro_batches,
    cast(sum(upserts) as bigint) as upserts,
    cast(sum(deletes) as bigint) as deletes,
    cast(sum(dead_letters) as bigint) as dead_letters
from raw.micro_batches
group by all;
create or replace view ops.delivery_lags as
with lags as (
    select
        cast(timezone('UTC', landed_at) as date) as day,
        unnest([
            {'stage': 'landed', 'seconds': epoch(landed_at) - (first_cluster_time >> COUNT_BITS)},
            {'stage': 'loaded', 'seconds': epoch(loaded_at) - (first_cluster_time >> COUNT_BITS)}
        ], recursive := true)
    from raw.micro_batches
    where lane = 'stream' and first_cluster_time is not null
)

select
    day,
    stage,
    -- Twenty steps for each power of ten, in their middle: years of micro-batches stay small.
    cast(
        round(power(10, (floor(log10(greatest(seconds, 0.1) * 1000) * 20) + 0.5) / 20)) as bigint
    ) as lag_ms,
    count(*) as micro_batches
from lags
group by all;
""".replace("COUNT_BITS", str(COUNT_BITS))


def prepare(connection: duckdb.DuckDBPyConnection) -> None:
    """Make what is missing of the published part of `ops`."""
    connection.execute(_PREPARE)


def leave_in_log(connection: duckdb.DuckDBPyConnection) -> None:
    """Let what is written stay in DuckDB's log when the file is closed, for the next that closes it.

    To take a few rows out of the log, DuckDB writes down where everything in the file is: the longer the
    history, the longer that takes. Within a run somebody opens the file again at once.
    """
    connection.execute("pragma disable_checkpoint_on_shutdown")


def note_runs(steps: Iterable[StepRun], connection: duckdb.DuckDBPyConnection) -> None:
    """Bring `ops.runs`, `ops.checks` and `ops.findings` up to date; steps the journal has forgotten stay."""
    prepare(connection)
    steps = list(steps)
    _replace(
        connection,
        "runs",
        ("run_id", "step"),
        (
            (
                step.run_id,
                step.step,
                step.trigger,
                step.started_at,
                step.ended_at,
                step.outcome,
                step.rows,
                step.attempts,
                step.error,
                step.hint,
            )
            for step in steps
        ),
    )
    _replace(
        connection,
        "checks",
        ("run_id", "layer"),
        (
            (step.run_id, step.ended_at, layer, failed)
            for step in steps
            if step.ended_at is not None
            for layer, failed in step.details.get("failed_by_layer", {}).items()
        ),
    )
    _replace(
        connection,
        "findings",
        ("run_id", "rule"),
        (
            (step.run_id, step.ended_at, *finding)
            for step in steps
            if step.ended_at is not None
            for finding in _findings(step)
        ),
    )


def _findings(step: StepRun) -> Iterable[tuple[str, str, str, str, str]]:
    """Return rule, severity, description, what was found and an example: of the gate, and of dbt."""
    for finding in step.details.get("findings", ()):
        yield (
            finding["rule"],
            finding["severity"],
            finding["description"],
            finding["found"],
            finding["example"],
        )
    for warning in step.details.get("warnings", ()):
        check, _, found = warning.partition(": ")
        yield f"dbt.{check}", "warning", "", found, found


def note_build(
    connection: duckdb.DuckDBPyConnection,
    *,
    build_id: str,
    created_at: datetime,
    source_at: datetime | None,
    micro_batches: int,
) -> None:
    """Say which build is being published; the row of the one before goes."""
    row = sql.rows([(build_id, created_at, source_at, micro_batches)])
    connection.execute(f"delete from ops.published_build; insert into ops.published_build values {row}")


def _replace(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    key: tuple[str, ...],
    rows: Iterable[Sequence[sql.Value]],
) -> None:
    """Put rows in the place of those with the same key."""
    values = sql.rows(rows)
    if not values:
        return
    same = " and ".join(f"present.{name} = noted.{name}" for name in key)
    connection.execute(
        f"""
        begin;
        create or replace temp table noted as from ops.{table} limit 0;
        insert into noted values {values};
        delete from ops.{table} as present using noted where {same};
        insert into ops.{table} select * from noted;
        commit;
        """
    )
