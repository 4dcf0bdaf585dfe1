"""What must hold for `raw.conversations`, as the stream and the backfill load it."""

from batch.validate.rules import BETWEEN, ROW_COUNT, Rule, Suite, no_rows, not_null, unique

KNOWN_TYPES = (
    "agent-name",
    "ai-title",
    "assistant",
    "attachment",
    "custom-title",
    "file-history-snapshot",
    "last-prompt",
    "mode",
    "permission-mode",
    "pr-link",
    "progress",
    "queue-operation",
    "summary",
    "system",
    "tool_result",
    "tool_use",
    "user",
)
"""Types of lines that this program has seen; new ones come with new versions of Claude Code."""

LARGEST_DOCUMENT_CHARACTERS = 16_777_216
"""A document of MongoDB has at most 16 MB."""

_REBUILD = (
    "run `claude-analytics load --full-refresh`: it rebuilds `raw` from the landing zone; "
    "if it stays, please report it"
)
_TYPES = ", ".join(f"'{each}'" for each in KNOWN_TYPES)

BRONZE = Suite(
    name="bronze_expectations",
    layer="bronze",
    schema="raw",
    table="conversations",
    id_column="_id",
    rules=(
        not_null("_id", fix=_REBUILD),
        not_null("type", fix=_REBUILD),
        not_null("date", fix=_REBUILD),
        not_null("extracted_at", fix=_REBUILD),
        unique("_id", fix=_REBUILD),
        Rule(
            "content_length_in_bounds",
            "`content_length` is between 0 and what fits into a document.",
            _REBUILD,
            BETWEEN,
            {"column": "content_length", "min_value": 0, "max_value": LARGEST_DOCUMENT_CHARACTERS},
        ),
        Rule(
            "volume",
            "There are about as many documents as in the last runs, or more.",
            "find out who deleted so many documents; if that was meant, run once with GX_VOLUME_RATIO=0",
            ROW_COUNT,
            {"min_value": {"$PARAMETER": "least_documents"}},
        ),
        no_rows(
            "known_types",
            "Every type of line is known.",
            f"select type, count(*) as documents, min(_id) as _id from raw.conversations "
            f"where type not in ({_TYPES}) group by type order by documents desc, type",
            fix="nothing is lost: such lines are kept in `raw`, and take no part in the marts until a model "
            "reads them",
            severity="warning",
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
