"""What must hold before marts are published, where dbt's tests cannot say it.

dbt owns what follows from the models: keys, references, sums, prices, the calendar. Here is what depends on
other runs, on the clock, or on how data is spread, and what compares the marts with `raw`. Odd input warns,
with the lines; only a contradiction of our own is critical.
"""

from collections.abc import Sequence

from batch.validate.rules import BETWEEN, ROW_COUNT, Rule, Suite, no_rows

LARGEST_DOCUMENT_CHARACTERS = 16_777_216
"""A document of MongoDB has at most 16 MB."""

_BUILD_AGAIN = "run `claude-analytics transform --full-refresh`; if it stays, please report it"
_CLOCK = "a clock was wrong when the lines were written; they count for the day that they name"

_SEEN = "(select min(input_sequence) from ops.model_inputs where input = 'raw')"
"""The newest load that the marts were built from; the stream goes on loading meanwhile."""
_LOADED = f"micro_batch_id in (select micro_batch_id from raw.micro_batches where load_id <= {_SEEN})"
_MAY_BE_MESSAGE = "type <> 'progress' and coalesce(message_role, type) in ('user', 'assistant')"
"""It is one if `message_raw` is not null, which takes longest to find out: so only few lines are asked."""

BRONZE = Suite(
    name="bronze_expectations",
    layer="bronze",
    schema="raw",
    table="conversations",
    id_column="_id",
    rules=(
        Rule(
            "volume",
            "There are about as many documents as in the last runs, or more.",
            "find out who deleted so many documents; if that was meant, run once with GX_VOLUME_RATIO=0",
            ROW_COUNT,
            {"min_value": {"$PARAMETER": "least_documents"}},
        ),
        Rule(
            "content_length_in_bounds",
            "`content_length` is between 0 and what fits into a document.",
            "run `claude-analytics load --full-refresh`: it rebuilds `raw` from the landing zone; "
            "if it stays, please report it",
            BETWEEN,
            {"column": "content_length", "min_value": 0, "max_value": LARGEST_DOCUMENT_CHARACTERS},
        ),
        no_rows(
            "fresh",
            "Something has arrived within the last two days.",
            "select max(extracted_at) as newest from raw.conversations "
            "having max(extracted_at) < now() - interval '2 days'",
            fix="if people have been at work, check that their logs are imported, and that "
            "`claude-analytics stream` runs",
            severity="warning",
        ),
    ),
)

SILVER = Suite(
    name="silver_expectations",
    layer="silver",
    schema="staging",
    table="base_lines",
    id_column="line_id",
    rules=(
        no_rows(
            "valid_roles",
            "A message is the user's or the assistant's, as its type says.",
            "select line_id as _id, line_type, role from staging.base_lines "
            "where is_message and (role not in ('user', 'assistant') "
            "or (line_type in ('user', 'assistant') and line_type <> role))",
            fix="look at the documents in `raw.conversations`: who wrote them with such a role?",
            severity="warning",
        ),
        no_rows(
            "valid_timestamps",
            "No line was written before Claude Code existed, or in the future.",
            "select line_id as _id, written_at from staging.base_lines "
            "where written_at < timestamptz '2024-06-01' or written_at > now() + interval '1 day'",
            fix=_CLOCK,
            severity="warning",
        ),
        no_rows(
            "ordered_timestamps",
            "No line came into MongoDB before it was written.",
            "select line_id as _id, written_at, ingested_at from staging.base_lines "
            "where ingested_at < written_at - interval '1 hour'",
            fix=_CLOCK,
            severity="warning",
        ),
        no_rows(
            "readable_usage",
            "Every answer of the API says in numbers what it used.",
            "select line_id as _id, client_version, unreadable_counts from staging.base_lines "
            "where unreadable_counts > 0 or (is_message and role = 'assistant' "
            "and (message_id is not null or model is not null) and coalesce(model, '') <> '<synthetic>' "
            "and (input_tokens is null or output_tokens is null))",
            fix="look at `usage` in these documents: what is no count is taken for 0; a gateway or a new "
            "version may write it in another way",
            severity="warning",
        ),
    ),
)

GOLD = Suite(
    name="gold_expectations",
    layer="gold",
    schema="marts",
    table="fct_messages",
    id_column="line_id",
    rules=(
        no_rows(
            "messages_of_raw",
            "Every message in `raw` is in the marts, or a copy of one that is.",
            "select conversations._id, conversations.type from raw.conversations inner join "
            "(select conversations._id from raw.conversations "
            "left join marts.fct_messages on conversations._id = fct_messages.line_id "
            "left join staging.base_line_copies on conversations._id = base_line_copies.line_id "
            "and base_line_copies.is_copy "
            f"where {_MAY_BE_MESSAGE} and fct_messages.line_id is null and base_line_copies.line_id is null "
            f"and conversations.{_LOADED}) as missing on conversations._id = missing._id "
            "where conversations.message_raw is not null",
            fix=_BUILD_AGAIN,
        ),
        no_rows(
            "nothing_beyond_raw",
            "Every message in the marts is in `raw`.",
            "select fct_messages.line_id as _id, fct_messages.session_id from marts.fct_messages "
            "left join raw.conversations on fct_messages.line_id = conversations._id "
            "where conversations._id is null "
            # Documents that were deleted since are in the marts until the next build.
            f"and not exists (select 1 from raw.loads where load_id > {_SEEN} and rows_deleted > 0)",
            fix=_BUILD_AGAIN,
        ),
        no_rows(
            "conversations_of_raw",
            "Every conversation in `raw` that has messages is in the marts.",
            "select conversations.session_id, count(*) as messages from raw.conversations inner join "
            "(select conversations._id from raw.conversations "
            "left join marts.dim_sessions on conversations.session_id = dim_sessions.session_id "
            f"where {_MAY_BE_MESSAGE} and conversations.session_id is not null "
            f"and dim_sessions.session_id is null and conversations.{_LOADED}"
            ") as missing on conversations._id = missing._id "
            "where conversations.message_raw is not null "
            "group by conversations.session_id order by messages desc, conversations.session_id",
            fix=_BUILD_AGAIN,
        ),
        no_rows(
            "marts_are_fresh",
            "The marts have seen everything that was loaded more than a day ago.",
            f"select load_id, loaded_at from raw.loads where load_id > {_SEEN} "
            "and loaded_at < now() - interval '1 day' order by load_id",
            fix="run `claude-analytics transform`",
        ),
        no_rows(
            "cost_agrees",
            "Ours is the cost that Claude Code itself wrote down, within five cents and five percent.",
            "select session_id, model_family, round(reported_cost_usd, 2) as reported_usd, "
            "round(cost_usd, 2) as cost_usd from marts.agg_cost_agreement "
            "where agreement = 'differs' or (agreement = 'only_logged' and abs(difference_usd) > 0.05) "
            "order by abs(difference_usd) desc, session_id, model_family",
            fix="see `agg_cost_agreement`: another price list, or lines that were not imported",
            severity="warning",
        ),
        no_rows(
            "usage_is_priced",
            "No model without a price has more than a hundredth of all tokens.",
            "select model, sum(unpriced_calls) as calls, sum(unpriced_tokens) as tokens "
            "from marts.dim_models "
            "where unpriced_tokens > 0.01 * (select sum(total_tokens) from marts.dim_models) "
            "group by model order by tokens desc, model",
            fix="give its price in a file (setting MODEL_PRICES_FILE, see docs/prices.md); "
            "until then its cost is null, not zero",
            severity="warning",
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
            "known_kinds",
            "Claude Code writes nothing that no model knows.",
            "select kind, name, occurrences, first_version from marts.agg_unknown_kinds "
            "where kind <> 'tool' order by occurrences desc, kind, name",
            fix="nothing is lost: such lines are kept in `raw`, and take no part in the marts until a model "
            "reads them",
            severity="warning",
        ),
    ),
)

SUITES: Sequence[Suite] = (BRONZE, SILVER, GOLD)
