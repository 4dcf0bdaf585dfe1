"""What must hold for the marts: the numbers that people will see."""

from batch.validate.rules import Rule, Suite, equal_sums, no_rows

_BUILD_ANEW = "run `claude-analytics transform --full-refresh`; if it stays, please report it"
_TOKENS = (
    "input_tokens",
    "output_tokens",
    "cache_write_5m_tokens",
    "cache_write_1h_tokens",
    "cache_read_tokens",
    "total_tokens",
)
_ALL_PARTS = " + ".join(
    f"{part}_cost_usd"
    for part in (
        *("input", "output", "cache_write_5m", "cache_write_1h", "cache_read"),
        *("geography", "batch", "web_search", "advisor", "fallback"),
    )
)
_CALLS = ("fct_api_calls", "fct_progress_api_calls")
_ROUNDING = 1e-9


def _joins(fact: str, key: str, dimension: str, dimension_key: str | None = None, of: str = "") -> Rule:
    other = dimension_key or key
    return no_rows(
        f"{fact}_{key}_in_{dimension}",
        f"Every `{key}` of `{fact}` is in `{dimension}`.",
        f"select {fact}.{key}, count(*) as facts from marts.{fact} "
        f"left join marts.{dimension} on {fact}.{key} = {dimension}.{other} "
        f"where {dimension}.{other} is null and {fact}.{key} is not null{of} "
        f"group by {fact}.{key} order by facts desc, {fact}.{key}",
        fix=_BUILD_ANEW,
    )


def _sum(column: str, table: str, where: str = "true") -> tuple[str, str]:
    return table, f"select sum({column}) from marts.{table} where {where}"


def _count(table: str) -> tuple[str, str]:
    return table, f"select count(*) from marts.{table}"


GOLD = Suite(
    name="gold_expectations",
    layer="gold",
    schema="marts",
    table="fct_messages",
    id_column="line_id",
    rules=(
        *(
            _joins(fact, "session_key", "dim_sessions")
            for fact in ("fct_messages", "fct_tool_calls", "fct_file_operations", "fct_active_hours", *_CALLS)
        ),
        *(
            _joins(fact, "date_key", "dim_date")
            for fact in ("fct_messages", "fct_tool_calls", "fct_file_operations", "fct_active_hours", *_CALLS)
        ),
        *(_joins(fact, "model_key", "dim_models") for fact in _CALLS),
        _joins("fct_tool_calls", "tool_key", "dim_tools"),
        _joins("fct_file_operations", "tool_call_key", "fct_tool_calls"),
        _joins("fct_messages", "project_id", "dim_projects"),
        _joins("dim_sessions", "project_id", "dim_projects"),
        equal_sums(
            "cost_adds_up",
            "The facts, the conversations and every aggregate tell the same cost.",
            [
                _sum("cost_usd", table)
                for table in (
                    "fct_api_calls",
                    "dim_sessions",
                    "dim_projects",
                    "agg_daily_cost",
                    "agg_daily_summary",
                    "agg_branch_cost",
                )
            ]
            + [_sum("list_usd", "agg_monthly_cost")],
            fix=_BUILD_ANEW,
            tolerance=_ROUNDING,
        ),
        equal_sums(
            "tokens_add_up",
            "The facts and every aggregate tell the same number of tokens.",
            [
                _sum("total_tokens", table)
                for table in ("fct_api_calls", "agg_daily_cost", "agg_daily_summary", "agg_branch_cost")
            ],
            fix=_BUILD_ANEW,
        ),
        equal_sums(
            "calls_add_up",
            "The facts, the conversations and every aggregate tell the same number of API calls.",
            [
                _count("fct_api_calls"),
                _sum("api_call_count", "dim_sessions"),
                *(
                    _sum("api_calls", table)
                    for table in ("agg_daily_cost", "agg_daily_summary", "agg_branch_cost")
                ),
            ],
            fix=_BUILD_ANEW,
        ),
        equal_sums(
            "messages_add_up",
            "The facts, the conversations and the days tell the same number of messages.",
            [
                _count("fct_messages"),
                _sum("message_count", "dim_sessions"),
                _sum("messages", "agg_daily_summary"),
            ],
            fix=_BUILD_ANEW,
        ),
        equal_sums(
            "tool_calls_add_up",
            "The facts, the conversations, the tools and the days tell the same number of tool calls.",
            [
                _count("fct_tool_calls"),
                _sum("tool_call_count", "dim_sessions"),
                _sum("total_usage", "dim_tools"),
                _sum("total_calls", "agg_tool_efficiency"),
                _sum("tool_calls", "agg_daily_summary"),
            ],
            fix=_BUILD_ANEW,
        ),
        equal_sums(
            "lines_add_up",
            "The facts and every aggregate tell the same number of changed lines.",
            [
                _sum("lines_added + lines_removed", table)
                for table in (
                    "fct_tool_calls",
                    "fct_file_operations",
                    "dim_sessions",
                    "agg_code_changes",
                    "agg_daily_summary",
                )
            ],
            fix=_BUILD_ANEW,
        ),
        equal_sums(
            "active_time_adds_up",
            "The facts, the conversations and the days tell the same active time.",
            [
                _sum("active_seconds", table)
                for table in ("fct_active_hours", "dim_sessions", "agg_daily_summary", "agg_hourly_activity")
            ],
            fix=_BUILD_ANEW,
            tolerance=_ROUNDING,
        ),
        no_rows(
            "tokens_not_negative",
            "No API call used less than nothing.",
            " union all ".join(
                f"select line_id as _id, '{table}' as fact from marts.{table} "
                f"where least({', '.join(_TOKENS)}) < 0 or coalesce(cost_usd, 0) < 0"
                for table in _CALLS
            ),
            fix="look at the documents in `raw.conversations`: their usage is wrong",
        ),
        no_rows(
            "cost_only_with_a_price",
            "Only models with a price cost something.",
            "select model, count(*) as calls, min(line_id) as _id from marts.fct_api_calls "
            "where cost_usd is not null and model_family not in "
            "(select model_family from staging.stg_model_prices where model_family is not null) "
            "group by model",
            fix=_BUILD_ANEW,
        ),
        no_rows(
            "cost_is_the_sum_of_its_parts",
            "The parts of each cost add up to it.",
            " union all ".join(
                f"select line_id as _id, cost_usd, {_ALL_PARTS} as parts_usd from marts.{table} "
                f"where abs(cost_usd - ({_ALL_PARTS})) > {_ROUNDING} * greatest(1, cost_usd) "
                f"or (cost_usd is null) <> (({_ALL_PARTS}) is null)"
                for table in _CALLS
            ),
            fix=_BUILD_ANEW,
        ),
        no_rows(
            "every_model_has_a_price",
            "Every model has a price.",
            "select model, sum(unpriced_calls) as calls, sum(unpriced_tokens) as tokens "
            "from marts.dim_models "
            "where unpriced_calls > 0 group by model order by calls desc, model",
            fix="give its price in a file (setting MODEL_PRICES_FILE, see docs/prices.md); "
            "until then its cost is null, not zero",
            severity="warning",
        ),
        no_rows(
            "no_day_missing",
            "The calendar has every day from the first to the last, and the daily summary each of them.",
            # A wrong clock's day is there, but not all the days between it and ours.
            "select missing.day from ("
            "select unnest(generate_series(min(date_key), max(date_key), interval '1 day'))::date as day "
            "from marts.dim_date where date_key between date '2020-01-01' and date '2099-12-31' "
            "union select date_key from marts.dim_date) as missing "
            "left join marts.dim_date on missing.day = dim_date.date_key "
            "left join marts.agg_daily_summary on missing.day = agg_daily_summary.date_key "
            "where dim_date.date_key is null or agg_daily_summary.date_key is null",
            fix=_BUILD_ANEW,
        ),
        no_rows(
            "rates_are_rates",
            "Success, error and rejection rates of tools are between 0 and 1.",
            "select tool_name, success_rate, error_rate, rejection_rate from marts.agg_tool_efficiency "
            "where coalesce(success_rate, 0) not between 0 and 1 "
            "or coalesce(error_rate, 0) not between 0 and 1 "
            "or coalesce(rejection_rate, 0) not between 0 and 1",
            fix=_BUILD_ANEW,
        ),
        no_rows(
            "tools_mostly_work",
            "No tool that is used often fails more often than not.",
            "select tool_name, total_calls, round(error_rate, 3) as error_rate "
            "from marts.agg_tool_efficiency "
            "where total_calls >= 50 and error_rate > 0.5 order by total_calls desc, tool_name",
            fix="find out what the tool fails at; or a new version words its results in another way",
            severity="warning",
        ),
        no_rows(
            "conversations_end_after_they_begin",
            "No conversation ends before it begins, and none is active longer than it lasts.",
            "select session_id, session_start, session_end, active_seconds from marts.dim_sessions "
            "where session_end < session_start or active_seconds < 0 "
            "or active_seconds > duration_seconds + 1",
            fix=_BUILD_ANEW,
        ),
    ),
)
