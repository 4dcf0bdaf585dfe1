{{ config(materialized='incremental') }}

-- Reads the facts rather than the views below them: they are built once, and the sums agree by construction.
with sessions as (
    select * from {{ ref('base_sessions') }}
    where has_activity and {{ is_affected() }}
),

lines as (
    select * from {{ ref('stg_conversations') }}
    where {{ is_affected() }}
),

copies as (
    select * from {{ ref('base_line_copies') }}
    where {{ is_affected() }}
),

titles as (
    select * from {{ ref('stg_titles') }}
    where {{ is_affected() }}
),

hours as (
    select * from {{ ref('fct_active_hours') }}
    where {{ is_affected() }}
),

messages as (
    select * from {{ ref('fct_messages') }}
    where {{ is_affected() }}
),

tool_calls as (
    select * from {{ ref('fct_tool_calls') }}
    where {{ is_affected() }}
),

api_calls as (
    select * from {{ ref('fct_api_calls') }}
    where {{ is_affected() }}
),

file_operations as (
    select * from {{ ref('fct_file_operations') }}
    where {{ is_affected() }}
),

times as (
    select
        session_id,
        min(first_written_at) as session_start,
        max(last_written_at) as session_end,
        {{ total_seconds('active_seconds') }} as active_seconds
    from hours
    group by session_id
),

line_counts as (
    select
        session_id,
        count(*) as line_count,
        {{ count_if("line_type = 'system' and line_subtype in ('compact_boundary', 'microcompact_boundary')") }}
            as compaction_marks,
        {{ joined('client_version') }} as client_versions
    from lines
    group by session_id
),

branches as (
    select
        session_id,
        git_branch,
        row_number() over (partition by session_id order by count(*) desc, git_branch) as row_rank
    from lines
    where git_branch is not null
    group by session_id, git_branch
),

forks as (
    select
        session_id,
        coalesce(min(forked_from_session_id), min(first_session_id)) as fork_parent_session_id,
        count(*) as copied_line_count
    from copies
    where is_copy and first_session_id <> session_id
    group by session_id
),

ranked_titles as (
    select
        session_id,
        title,
        title_source,
        row_number() over (
            partition by session_id
            order by
                case title_source when 'custom' then 1 when 'ai' then 2 when 'summary' then 3 else 4 end,
                written_at desc,
                -- Titles have no time of their own: the last one to come is in force.
                source_version desc,
                line_id desc
        ) as row_rank
    from titles
),

message_counts as (
    select
        session_id,
        count(*) as message_count,
        {{ count_if("role = 'assistant'") }} as assistant_message_count,
        {{ count_if("user_kind = 'prompt'") }} as prompt_count,
        {{ count_if("user_kind = 'command'") }} as command_count,
        {{ count_if("user_kind = 'interrupt'") }} as interruption_count,
        {{ count_if("user_kind = 'compact_summary'") }} as compact_summary_count,
        {{ count_if('is_sidechain') }} as sidechain_message_count,
        count(distinct case when role = 'assistant' and not is_sidechain and turn_number > 0 then turn_number end)
            as turn_count,
        count(distinct agent_id) as subagent_count
    from messages
    group by session_id
),

tool_counts as (
    select
        session_id,
        count(*) as tool_call_count,
        {{ count_if("status = 'error'") }} as tool_error_count,
        {{ count_if("status = 'rejected'") }} as tool_rejection_count
    from tool_calls
    group by session_id
),

file_counts as (
    select
        session_id,
        count(distinct case when operation_type <> 'read' then file_path end) as files_changed,
        {{ total('lines_added') }} as lines_added,
        {{ total('lines_removed') }} as lines_removed
    from file_operations
    group by session_id
),

spending as (
    select
        session_id,
        count(*) as api_call_count,
        {{ total('input_tokens') }} as input_tokens,
        {{ total('output_tokens') }} as output_tokens,
        {{ total('cache_write_5m_tokens') }} as cache_write_5m_tokens,
        {{ total('cache_write_1h_tokens') }} as cache_write_1h_tokens,
        {{ total('cache_read_tokens') }} as cache_read_tokens,
        {{ total('advisor_tokens') }} as advisor_tokens,
        {{ total('fallback_tokens') }} as fallback_tokens,
        {{ total('total_tokens') }} as total_tokens,
        {{ total_usd('cost_usd') }} as cost_usd,
        {{ count_if('cost_usd is null') }} as unpriced_call_count,
        {{ total('case when cost_usd is null then total_tokens end') }} as unpriced_tokens,
        {{ joined('case when cost_usd is null then model end') }} as unpriced_models,
        {{ joined('model') }} as models
    from api_calls
    group by session_id
),

computed as (
    select
        sessions.session_id,
        sessions.project_id,
        sessions.project_folder,
        sessions.working_folder,
        -- A conversation of nothing but copies has the times of those.
        coalesce(times.session_start, sessions.first_written_at) as session_start,
        coalesce(times.session_end, sessions.last_written_at) as session_end,
        coalesce(times.active_seconds, 0) as active_seconds,
        sessions.first_date_key,
        coalesce(line_counts.line_count, 0) as line_count,
        coalesce(forks.copied_line_count, 0) as copied_line_count,
        forks.fork_parent_session_id,
        coalesce(message_counts.message_count, 0) as message_count,
        coalesce(message_counts.assistant_message_count, 0) as assistant_message_count,
        coalesce(message_counts.prompt_count, 0) as prompt_count,
        coalesce(message_counts.command_count, 0) as command_count,
        coalesce(message_counts.turn_count, 0) as turn_count,
        coalesce(message_counts.interruption_count, 0) as interruption_count,
        greatest(
            coalesce(message_counts.compact_summary_count, 0), coalesce(line_counts.compaction_marks, 0)
        ) as compaction_count,
        coalesce(message_counts.sidechain_message_count, 0) as sidechain_message_count,
        coalesce(message_counts.subagent_count, 0) as subagent_count,
        coalesce(tool_counts.tool_call_count, 0) as tool_call_count,
        coalesce(tool_counts.tool_error_count, 0) as tool_error_count,
        coalesce(tool_counts.tool_rejection_count, 0) as tool_rejection_count,
        coalesce(file_counts.files_changed, 0) as files_changed,
        coalesce(file_counts.lines_added, 0) as lines_added,
        coalesce(file_counts.lines_removed, 0) as lines_removed,
        coalesce(spending.api_call_count, 0) as api_call_count,
        coalesce(spending.input_tokens, 0) as input_tokens,
        coalesce(spending.output_tokens, 0) as output_tokens,
        coalesce(spending.cache_write_5m_tokens, 0) as cache_write_5m_tokens,
        coalesce(spending.cache_write_1h_tokens, 0) as cache_write_1h_tokens,
        coalesce(spending.cache_read_tokens, 0) as cache_read_tokens,
        coalesce(spending.advisor_tokens, 0) as advisor_tokens,
        coalesce(spending.fallback_tokens, 0) as fallback_tokens,
        coalesce(spending.total_tokens, 0) as total_tokens,
        -- Null if not one call has a price; `unpriced_call_count` says how much is missing otherwise.
        case when coalesce(spending.api_call_count, 0) = 0 then 0 else spending.cost_usd end as cost_usd,
        coalesce(spending.unpriced_call_count, 0) as unpriced_call_count,
        coalesce(spending.unpriced_tokens, 0) as unpriced_tokens,
        spending.unpriced_models,
        spending.models,
        branches.git_branch,
        line_counts.client_versions,
        ranked_titles.title,
        ranked_titles.title_source
    from sessions
    left join times on sessions.session_id = times.session_id
    left join line_counts on sessions.session_id = line_counts.session_id
    left join forks on sessions.session_id = forks.session_id
    left join message_counts on sessions.session_id = message_counts.session_id
    left join tool_counts on sessions.session_id = tool_counts.session_id
    left join file_counts on sessions.session_id = file_counts.session_id
    left join spending on sessions.session_id = spending.session_id
    left join branches on sessions.session_id = branches.session_id and branches.row_rank = 1
    left join ranked_titles on sessions.session_id = ranked_titles.session_id and ranked_titles.row_rank = 1
),

-- Read by itself, and its text with it: an engine keeps what is read twice.
prompts as (
    select
        session_id,
        line_id,
        row_number() over (partition by session_id order by message_sequence) as row_rank
    from {{ ref('fct_messages') }}
    where user_kind = 'prompt' and {{ is_affected() }}
),

first_prompts as (
    select
        prompts.session_id,
        lines.typed_text
    from prompts
    inner join {{ ref('base_lines') }} as lines on prompts.line_id = lines.line_id
    where prompts.row_rank = 1 and {{ is_affected('lines.session_id') }}
),

final as (
    select
        {{ surrogate_key(['sessions.session_id']) }} as session_key,
        sessions.session_id,
        {{ surrogate_key(['sessions.project_id']) }} as project_key,
        sessions.project_id,
        sessions.project_folder,
        sessions.working_folder,
        coalesce({{ local_date('sessions.session_start') }}, sessions.first_date_key) as date_key,
        sessions.session_start,
        sessions.session_end,
        {{ milliseconds_between('sessions.session_start', 'sessions.session_end') }} / cast(1000 as {{ double_type() }})
            as duration_seconds,
        sessions.active_seconds,
        case
            when sessions.message_count < 10 then 'low'
            when sessions.message_count < 100 then 'medium'
            else 'high'
        end as activity_level,
        sessions.message_count,
        sessions.assistant_message_count,
        sessions.prompt_count,
        sessions.command_count,
        sessions.turn_count,
        sessions.interruption_count,
        sessions.compaction_count,
        sessions.sidechain_message_count,
        sessions.subagent_count,
        sessions.tool_call_count,
        sessions.tool_error_count,
        sessions.tool_rejection_count,
        sessions.files_changed,
        sessions.lines_added,
        sessions.lines_removed,
        sessions.api_call_count,
        sessions.input_tokens,
        sessions.output_tokens,
        sessions.cache_write_5m_tokens,
        sessions.cache_write_1h_tokens,
        sessions.cache_read_tokens,
        sessions.advisor_tokens,
        sessions.fallback_tokens,
        sessions.total_tokens,
        sessions.cost_usd,
        sessions.unpriced_call_count,
        sessions.unpriced_tokens,
        sessions.unpriced_models,
        sessions.models,
        sessions.git_branch,
        sessions.client_versions,
        coalesce(sessions.title, left(first_prompts.typed_text, 80)) as title,
        case
            when sessions.title is not null then sessions.title_source
            when first_prompts.typed_text is not null then 'first_prompt'
        end as title_source,
        sessions.fork_parent_session_id,
        sessions.copied_line_count,
        sessions.line_count
    from computed as sessions
    left join first_prompts on sessions.session_id = first_prompts.session_id
)

select * from final
