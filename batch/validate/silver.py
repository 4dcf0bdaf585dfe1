"""What must hold for `stg_conversations`: lines, each counted once, with their conversation and time."""

from batch.validate.rules import Suite, no_rows, not_null, unique

_BUILD_ANEW = "run `claude-analytics transform --full-refresh`; if it stays, please report it"
_CLOCK = "a clock was wrong when the lines were written; they count for the day that they name"

SILVER = Suite(
    name="silver_expectations",
    layer="silver",
    schema="staging",
    table="stg_conversations",
    id_column="line_id",
    rules=(
        not_null("line_id", fix=_BUILD_ANEW),
        not_null("session_id", fix=_BUILD_ANEW),
        not_null("project_id", fix=_BUILD_ANEW),
        not_null("date_key", fix=_BUILD_ANEW),
        unique("line_id", fix=_BUILD_ANEW),
        no_rows(
            "session_exists",
            "Every line belongs to a conversation that the marts know.",
            "select stg_conversations.line_id as _id, stg_conversations.session_id "
            "from staging.stg_conversations "
            "left join staging.base_sessions on stg_conversations.session_id = base_sessions.session_id "
            "where base_sessions.session_id is null",
            fix=_BUILD_ANEW,
        ),
        no_rows(
            "valid_roles",
            "A message is the user's or the assistant's, as its type says.",
            "select line_id as _id, line_type, role from staging.stg_conversations "
            "where is_message and (role not in ('user', 'assistant') "
            "or (line_type in ('user', 'assistant') and line_type <> role))",
            fix="look at the documents in `raw.conversations`: who wrote them with such a role?",
            severity="warning",
        ),
        no_rows(
            "valid_timestamps",
            "No line was written before Claude Code existed, or in the future.",
            "select line_id as _id, written_at from staging.stg_conversations "
            "where written_at < timestamptz '2024-06-01' or written_at > now() + interval '1 day'",
            fix=_CLOCK,
            severity="warning",
        ),
        no_rows(
            "readable_usage",
            "What an answer used is given in numbers that can be.",
            "select line_id as _id, client_version, unreadable_counts from staging.stg_conversations "
            "where unreadable_counts > 0",
            fix="look at `usage` in these documents: what is no count is taken for 0; a gateway or a new "
            "version may write it in another way",
            severity="warning",
        ),
        no_rows(
            "ordered_timestamps",
            "No line came into MongoDB before it was written.",
            "select line_id as _id, written_at, ingested_at from staging.stg_conversations "
            "where ingested_at < written_at - interval '1 hour'",
            fix=_CLOCK,
            severity="warning",
        ),
    ),
)
