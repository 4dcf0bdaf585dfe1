-- Which call each result answers: the nearest one before it, in its conversation, that has its id. Ids are not
-- unique everywhere; so of the calls of one answer that share an id, the first result answers the first one.
{{ config(materialized='incremental') }}

with blocks as (
    select
        blocks.line_id,
        blocks.block_index,
        blocks.session_id,
        blocks.block_type,
        blocks.tool_use_id,
        blocks.tool_name,
        blocks.file_path,
        blocks.changed_path,
        blocks.web_search_requests,
        blocks.written_at,
        blocks.source_version,
        blocks.agent_id,
        blocks.is_sidechain,
        {{ tool_call_id('blocks', 'answers') }} as call_id,
        {{ answer_id('blocks', 'answers') }} as answer_id
    from {{ ref('base_blocks') }} as blocks
    left join {{ ref('base_answers') }} as answers on blocks.line_id = answers.line_id
    left join {{ ref('base_line_copies') }} as copies on blocks.line_id = copies.line_id and copies.is_repetition
    where
        blocks.block_type in ('tool_use', 'tool_result')
        and blocks.tool_use_id is not null
        and copies.line_id is null
        and {{ is_affected('blocks.session_id') }}
),

threaded as (
    select
        *,
        {{ thread() }} as thread
    from blocks
),

ranked_calls as (
    select
        *,
        row_number() over (
            partition by session_id, call_id
            order by written_at nulls last, source_version, line_id, block_index
        ) as row_rank
    from threaded
    where block_type = 'tool_use'
),

calls as (
    select * from ranked_calls
    where row_rank = 1
),

threads as (
    select
        session_id,
        tool_use_id,
        thread
    from calls
    group by session_id, tool_use_id, thread
),

any_threads as (
    select
        session_id,
        tool_use_id,
        min(thread) as thread
    from calls
    group by session_id, tool_use_id
),

results as (
    select
        threaded.line_id,
        threaded.block_index,
        threaded.session_id,
        threaded.tool_use_id,
        threaded.written_at,
        threaded.source_version,
        -- Older logs do not say of every line that a sub-agent wrote it.
        coalesce(threads.thread, any_threads.thread) as thread
    from threaded
    inner join any_threads
        on threaded.session_id = any_threads.session_id and threaded.tool_use_id = any_threads.tool_use_id
    left join threads
        on
            threaded.session_id = threads.session_id
            and threaded.tool_use_id = threads.tool_use_id
            and threaded.thread = threads.thread
    where threaded.block_type = 'tool_result'
),

marked_calls as (
    select
        *,
        case
            when
                answer_id = lag(answer_id) over (
                    partition by session_id, thread, tool_use_id
                    order by written_at nulls last, source_version, line_id, block_index
                )
                then 0
            else 1
        end as begins_group
    from calls
),

{% set shared = ['line_id', 'block_index', 'session_id', 'thread', 'tool_use_id', 'written_at', 'source_version'] -%}
events as (
    select
        {{ shared | join(', ') }},
        0 as is_result,
        begins_group
    from marked_calls

    union all

    select
        {{ shared | join(', ') }},
        1 as is_result,
        0 as begins_group
    from results
),

grouped as (
    select
        *,
        -- A result that clocks put before every call answers the first one.
        greatest(1, sum(begins_group) over (
            partition by session_id, thread, tool_use_id
            order by written_at nulls last, is_result, source_version, line_id, block_index
            rows unbounded preceding
        )) as group_number
    from events
),

numbered as (
    select
        *,
        row_number() over (
            partition by session_id, thread, tool_use_id, group_number, is_result
            order by written_at nulls last, source_version, line_id, block_index
        ) as place,
        count(case when is_result = 0 then 1 end)
            over (partition by session_id, thread, tool_use_id, group_number) as call_count
    from grouped
),

matched as (
    select
        results.line_id,
        results.session_id,
        results.block_index,
        calls.line_id as call_line_id,
        calls.block_index as call_block_index
    from numbered as results
    inner join numbered as calls
        on
            results.session_id = calls.session_id
            and results.thread = calls.thread
            and results.tool_use_id = calls.tool_use_id
            and results.group_number = calls.group_number
            and calls.place = least(results.place, results.call_count)
    where results.is_result = 1 and calls.is_result = 0
),

described as (
    select
        matched.*,
        row_number() over (
            partition by matched.line_id
            order by
                -- Of several results in one line, what the program reports is of the call on that file.
                case
                    when {{ normal_path('blocks.changed_path') }} = {{ normal_path('calls.file_path') }} then 0
                    when blocks.changed_path is not null and {{ changes_files('calls.tool_name') }} then 1
                    when blocks.web_search_requests is not null and calls.tool_name = 'WebSearch' then 1
                    else 2
                end,
                matched.block_index
        ) = 1 as has_report
    from matched
    inner join blocks on matched.line_id = blocks.line_id and matched.block_index = blocks.block_index
    inner join calls
        on matched.call_line_id = calls.line_id and matched.call_block_index = calls.block_index
)

select * from described
