"""Views of what happens now: today's conversations straight from the landing zone, seconds old, no lock.

The latest version of each document counts, and deleted ones are gone, also with their whole collection. A
document that changes today has landed today, so only the files of the last days are opened.
"""

import io
from pathlib import Path

import pyarrow.parquet as pq

from stream import sql
from stream.core.cluster_time import upgraded_sql
from stream.core.schema import to_table
from stream.disk import disk_errors, make_folder, write_durably
from stream.landing.zone import STREAM_LANE

_DAYS_BACK = 2
"""Landing days, in UTC: cover today in every time zone, whichever zone the reader's session has."""

_OLD_FORM_FROM = 6_000_000_000_000_000_000
"""Cluster times from here on are packed as before landing schema version 4, which can be so in the two days
after an upgrade; as they are packed now it would be the year 2058."""


_NO_ROWS = Path(STREAM_LANE, "date=1970-01-01", "no-rows.parquet")
"""Below the landing zone: no micro-batch, by its name."""


def prepare(landed: Path) -> None:
    """Put a file without rows into the landing zone, for a view over no file is an error.

    Raises:
        LandingFullError: No space.
        LandingNotWritableError: The folder cannot be written.
    """
    path = landed / _NO_ROWS
    if path.exists():
        return
    content = io.BytesIO()
    pq.write_table(to_table([]), content)
    with disk_errors(path):
        make_folder(path.parent)
        write_durably(path, content.getvalue())


def live_views(landed: Path, timezone: str) -> list[str]:
    """Write the statements that make the views, in order.

    Args:
        landed: Root of the landing zone, absolute; `prepare` must have been there, or something have landed.
        timezone: In which it is today.
    """
    zone = sql.literal(timezone)
    pattern = sql.literal(f"{landed}/*/date=*/*.parquet")
    documents = f"""
create view live.documents as
select
    _id, type, session_id, project_id, timestamp, extracted_at, message_role, message_content, message_raw,
    source_file, uuid, extra
from (
    select * replace (
        case
            when source_version >= {_OLD_FORM_FROM} then {upgraded_sql("source_version")}
            else source_version
        end as source_version
    )
    from read_parquet(
        {pattern},
        hive_partitioning = true, hive_types = {{'date': date}}, filename = true, file_row_number = true
    )
)
-- The folder's day: files of other days are not opened.
where date >= current_date - {_DAYS_BACK}
qualify
    row_number() over (
        partition by _id order by source_version desc, filename desc, file_row_number desc
    ) = 1
    and op = 'upsert'
    -- What was there before the whole collection was dropped or read again.
    and source_version >= coalesce(max(source_version) filter (op in ('truncate', 'floor')) over (), 0)
    and timestamp >= timezone({zone}, date_trunc('day', timezone({zone}, now())))"""
    messages = """
create view live.messages as
select
    _id, session_id, project_id, timestamp as created_at, coalesce(message_role, type) as role, message_raw
from live.documents
where
    message_raw is not null
    and type <> 'progress'
    and coalesce(message_role, type) in ('user', 'assistant')
-- A fork repeats the lines of the conversation it came from: each counts once.
qualify row_number() over (partition by coalesce(uuid, _id) order by timestamp, _id) = 1"""
    per_minute = """
create view live.messages_per_minute as
select date_trunc('minute', created_at) as minute, role, count(*) as messages
from live.messages
group by all"""
    blocks = """
    select
        session_id, project_id, created_at,
        unnest(list_concat(
            try(json_extract(message_raw, '$.content[*]')), try(json_extract(message_raw, '$[*]'))
        )) as block
    from messages"""
    calls = """
    select
        session_id, project_id, created_at,
        json_extract_string(block, '$.id') as tool_use_id,
        json_extract_string(block, '$.name') as tool_name
    from blocks
    where json_extract_string(block, '$.type') = 'tool_use'
    qualify row_number() over (partition by tool_use_id order by created_at) = 1"""
    results = """
    select
        json_extract_string(block, '$.tool_use_id') as tool_use_id,
        min(created_at) as finished_at,
        bool_or(coalesce(json_extract_string(block, '$.is_error') = 'true', false)) as is_error
    from blocks
    where json_extract_string(block, '$.type') = 'tool_result'
    group by all"""
    # Materialized: each file is opened once for the whole query, however often its lines are looked at.
    parts = f"""
with messages as materialized (
    select session_id, project_id, created_at, role, message_raw from live.messages
),
blocks as materialized ({blocks}
),
calls as ({calls}
),
results as ({results}
)"""
    tool_calls = f"""
create view live.tool_calls as
{parts}
select
    calls.tool_use_id, calls.session_id, calls.project_id, calls.tool_name,
    calls.created_at, results.finished_at,
    case
        when results.tool_use_id is null then 'running' when results.is_error then 'error' else 'success'
    end as status
from calls
left join results on calls.tool_use_id = results.tool_use_id"""
    conversations = f"""
create view live.conversations as
{parts},
called as (
    select
        calls.session_id, count(*) as tool_calls, count(*) filter (results.is_error) as tool_errors
    from calls
    left join results on calls.tool_use_id = results.tool_use_id
    group by calls.session_id
),
spoken as (
    select
        session_id,
        min(project_id) as project_id,
        min(created_at) as first_message_at,
        max(created_at) as last_message_at,
        count(*) as messages,
        count(*) filter (role = 'assistant') as assistant_messages
    from messages
    group by session_id
)
select
    spoken.*,
    coalesce(called.tool_calls, 0) as tool_calls,
    coalesce(called.tool_errors, 0) as tool_errors
from spoken
left join called on spoken.session_id = called.session_id"""
    return [view.strip() for view in (documents, messages, per_minute, tool_calls, conversations)]
