with sessions as (
    select * from {{ ref('dim_sessions') }}
),

projects as (
    select
        project_id,
        count(*) as total_sessions,
        count(distinct project_folder) as total_folders,
        min(session_start) as first_activity,
        max(session_end) as last_activity,
        {{ total('message_count') }} as total_messages,
        {{ total('tool_call_count') }} as total_tool_calls,
        {{ total_seconds('active_seconds') }} as active_seconds,
        {{ total_usd('cost_usd') }} as cost_usd,
        {{ total('unpriced_call_count') }} as unpriced_calls,
        {{ total('unpriced_tokens') }} as unpriced_tokens
    from sessions
    group by project_id
),

final as (
    select
        {{ surrogate_key(['project_id']) }} as project_key,
        project_id,
        coalesce({{ extract_match('project_id', '([^/]+)$') }}, project_id) as project_name,
        total_sessions,
        total_folders,
        first_activity,
        last_activity,
        total_messages,
        total_tool_calls,
        active_seconds,
        cost_usd,
        unpriced_calls,
        unpriced_tokens
    from projects
)

select * from final
