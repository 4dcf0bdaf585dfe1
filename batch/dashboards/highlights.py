"""What a newcomer wants to know first, out of the marts."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import duckdb

_DAYS = 7
_TOOLS = 8


@dataclass(frozen=True)
class ToolUse:
    """How one tool did.

    Attributes:
        name: Of the tool.
        calls: All of them.
        error_rate: Errors among the calls with an outcome, 0 to 1; None without one.
        rejected: Calls that a person declined.
    """

    name: str
    calls: int
    error_rate: float | None
    rejected: int


@dataclass(frozen=True)
class Highlights:
    """The first look at the marts.

    Attributes:
        spend_by_day: Date and dollars (None if no price is known) of the last days with calls, oldest first.
        spend_by_model: Model, calls and dollars (None if its price is unknown), dearest first.
        tools: The most used ones, most calls first.
        cost_usd: Of everything.
        total_tokens: Of everything.
        active_seconds: Time in which somebody was at work (pauses over five minutes left out).
        wall_seconds: Time from each conversation's start to its end.
        lines_added: By tools that write files.
        lines_removed: By tools that write files.
    """

    spend_by_day: Sequence[tuple[date, float | None]]
    spend_by_model: Sequence[tuple[str, int, float | None]]
    tools: Sequence[ToolUse]
    cost_usd: float
    total_tokens: int
    active_seconds: float
    wall_seconds: float
    lines_added: int
    lines_removed: int


def highlights(connection: duckdb.DuckDBPyConnection) -> Highlights:
    """Read the highlights; the marts must have been built."""
    by_day = connection.execute(
        f"""
        select * from (
            select date_key, sum(cost_usd)::double as cost
            from marts.agg_daily_cost where api_calls > 0
            group by date_key order by date_key desc limit {_DAYS}
        ) order by date_key
        """
    ).fetchall()
    by_model = connection.execute(
        """
        select model, sum(api_calls)::bigint, sum(cost_usd)::double as cost
        from marts.agg_daily_cost where api_calls > 0 group by model order by cost desc nulls last, model
        """
    ).fetchall()
    tools = connection.execute(
        f"""
        select tool_name, total_calls, error_rate::double, rejections
        from marts.agg_tool_efficiency order by total_calls desc, tool_name limit {_TOOLS}
        """
    ).fetchall()
    totals = connection.execute(
        """
        select
            (select coalesce(sum(cost_usd), 0)::double from marts.agg_daily_cost),
            (select coalesce(sum(total_tokens), 0)::bigint from marts.agg_daily_cost),
            (select coalesce(sum(active_seconds), 0)::double from marts.dim_sessions),
            (select coalesce(sum(duration_seconds), 0)::double from marts.dim_sessions),
            (select coalesce(sum(lines_added), 0)::bigint from marts.fct_file_operations),
            (select coalesce(sum(lines_removed), 0)::bigint from marts.fct_file_operations)
        """
    ).fetchall()
    return Highlights(by_day, by_model, [ToolUse(*row) for row in tools], *totals[0])
