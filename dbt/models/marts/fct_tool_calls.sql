{{ config(materialized='incremental') }}

with tool_usage as (
    select * from {{ ref('int_tool_usage') }}
    where {{ is_affected() }}
),

final as (
    select
        call_id as tool_call_key,
        tool_use_id,
        {{ surrogate_key(['message_id', 'answer_id']) }} as api_call_key,
        {{ surrogate_key(['session_id']) }} as session_key,
        session_id,
        project_id,
        {{ surrogate_key(['tool_name']) }} as tool_key,
        tool_name,
        tool_category,
        mcp_server,
        mcp_tool,
        called_skill,
        called_agent_type,
        edit_mode,
        file_path,
        date_key,
        written_at as created_at,
        result_written_at as finished_at,
        execution_time_ms,
        reported_duration_ms,
        status,
        has_result,
        is_error,
        error_category,
        waits_for_human,
        is_interrupted,
        change_type,
        lines_added,
        lines_removed,
        web_search_requests,
        is_sidechain,
        agent_id,
        git_branch,
        line_id
    from tool_usage
)

select * from final
