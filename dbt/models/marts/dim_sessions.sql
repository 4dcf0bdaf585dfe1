{{ config(materialized='incremental') }}

with sessions as (
    select * from {{ ref('int_sessions_computed') }}
    where {{ is_affected() }}
),

first_prompts as (
    select
        session_id,
        typed_text,
        row_number() over (partition by session_id order by message_sequence) as row_rank
    from {{ ref('int_messages_enriched') }}
    where user_kind = 'prompt' and {{ is_affected() }}
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
        {{ milliseconds_between('sessions.session_start', 'sessions.session_end') }} / 1000.0 as duration_seconds,
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
    from sessions
    left join first_prompts on sessions.session_id = first_prompts.session_id and first_prompts.row_rank = 1
)

select * from final
