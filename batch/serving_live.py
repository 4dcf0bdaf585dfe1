"""Views of what happens now: today's conversations straight from the landing zone, seconds old, no lock.

The latest version of each document counts, and deleted ones are gone. A document that changes today has
landed today, so only the files of the last days are opened.
"""

from pathlib import Path

from stream import sql

_DAYS_BACK = 2
"""Landing days, in UTC: cover today in every time zone, whichever zone the reader's session has."""


def live_views(landed: Path, timezone: str) -> list[str]:
    """Write the statements that make the views, in order.

    Args:
        landed: Root of the landing zone, absolute; something must have landed.
        timezone: In which it is today.
    """
    zone = sql.literal(timezone)
    pattern = sql.literal(f"{landed}/*/date=*/*.parquet")
    documents = f"""
create view live.documents as
with landed as (
    select * from read_parquet(
        {pattern},
        hive_partitioning = true, hive_types = {{'date': date}}, filename = true, file_row_number = true
    )
    -- The folder's day: files of other days are not opened.
    where date >= current_date - {_DAYS_BACK}
),
latest as (
    select _id, max({{'v': source_version, 'f': filename, 'n': file_row_number}}) as place
    from landed
    group by _id
)
select
    landed._id, landed.type, landed.session_id, landed.project_id, landed.timestamp,
    landed.extracted_at, landed.message_role, landed.message_content, landed.message_raw,
    landed.source_file, landed.uuid, landed.extra
from landed
inner join latest on landed.filename = latest.place.f and landed.file_row_number = latest.place.n
where
    landed.op = 'upsert'
    and landed.timestamp >= timezone({zone}, date_trunc('day', timezone({zone}, now())))"""
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
    tool_calls = """
create view live.tool_calls as
with blocks as (
    select
        session_id, project_id, created_at,
        unnest(list_concat(
            try(json_extract(message_raw, '$.content[*]')), try(json_extract(message_raw, '$[*]'))
        )) as block
    from live.messages
),
calls as (
    select
        session_id, project_id, created_at,
        json_extract_string(block, '$.id') as tool_use_id,
        json_extract_string(block, '$.name') as tool_name
    from blocks
    where json_extract_string(block, '$.type') = 'tool_use'
    qualify row_number() over (partition by tool_use_id order by created_at) = 1
),
results as (
    select
        json_extract_string(block, '$.tool_use_id') as tool_use_id,
        min(created_at) as finished_at,
        bool_or(coalesce(json_extract_string(block, '$.is_error') = 'true', false)) as is_error
    from blocks
    where json_extract_string(block, '$.type') = 'tool_result'
    group by all
)
select
    calls.tool_use_id, calls.session_id, calls.project_id, calls.tool_name,
    calls.created_at, results.finished_at,
    case
        when results.tool_use_id is null then 'running' when results.is_error then 'error' else 'success'
    end as status
from calls
left join results on calls.tool_use_id = results.tool_use_id"""
    conversations = """
create view live.conversations as
with called as (
    select session_id, count(*) as tool_calls, count(*) filter (status = 'error') as tool_errors
    from live.tool_calls
    group by all
)
select
    messages.session_id,
    min(messages.project_id) as project_id,
    min(messages.created_at) as first_message_at,
    max(messages.created_at) as last_message_at,
    count(*) as messages,
    count(*) filter (messages.role = 'assistant') as assistant_messages,
    coalesce(any_value(called.tool_calls), 0) as tool_calls,
    coalesce(any_value(called.tool_errors), 0) as tool_errors
from live.messages as messages
left join called on messages.session_id = called.session_id
group by messages.session_id"""
    return [view.strip() for view in (documents, messages, per_minute, tool_calls, conversations)]
