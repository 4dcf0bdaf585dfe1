with calls as (
    select * from {{ ref('stg_tool_calls') }}
),

results as (
    select * from {{ ref('stg_tool_results') }}
),

categories as (
    select * from {{ ref('tool_categories') }}
),

joined as (
    select
        calls.*,
        results.line_id as result_line_id,
        results.written_at as result_written_at,
        results.is_error as result_is_error,
        results.error_text,
        results.reported_duration_ms,
        results.is_interrupted,
        results.change_type,
        results.lines_added,
        results.lines_removed,
        row_number() over (
            partition by calls.tool_use_id
            order by
                case when calls.is_sidechain then 1 else 0 end,
                calls.written_at,
                calls.line_id,
                calls.block_index,
                -- The answer in the call's own conversation, else the one that a fork got.
                case when results.session_id = calls.session_id then 0 else 1 end,
                results.written_at,
                results.line_id,
                results.block_index
        ) as choice
    from calls
    left join results on calls.tool_use_id = results.tool_use_id
),

chosen as (
    select * from joined
    where choice = 1
),

judged as (
    select
        chosen.tool_use_id,
        chosen.line_id,
        chosen.session_id,
        chosen.project_id,
        chosen.tool_name,
        {{ tool_category('chosen.tool_name', 'categories.tool_category') }} as tool_category,
        {{ mcp_server('chosen.tool_name') }} as mcp_server,
        {{ mcp_tool('chosen.tool_name') }} as mcp_tool,
        chosen.called_skill,
        chosen.called_agent_type,
        chosen.edit_mode,
        {{ normal_path('chosen.file_path') }} as file_path,
        chosen.written_at,
        chosen.date_key,
        chosen.is_sidechain,
        chosen.agent_id,
        chosen.git_branch,
        chosen.result_line_id,
        chosen.result_written_at,
        chosen.result_line_id is not null as has_result,
        coalesce(chosen.result_is_error, false) as is_error,
        case when chosen.result_is_error then {{ error_category("coalesce(chosen.error_text, '')") }} end
            as error_category,
        case
            when chosen.result_line_id is null then 'no_result'
            when not chosen.result_is_error then 'success'
            when {{ is_rejection("coalesce(chosen.error_text, '')") }} then 'rejected'
            else 'error'
        end as status,
        case
            when chosen.result_written_at >= chosen.written_at
                then {{ milliseconds_between('chosen.written_at', 'chosen.result_written_at') }}
        end as execution_time_ms,
        chosen.reported_duration_ms,
        chosen.is_interrupted,
        coalesce(categories.waits_for_human, false)
        or (coalesce(chosen.result_is_error, false) and {{ is_rejection("coalesce(chosen.error_text, '')") }})
            as waits_for_human,
        coalesce(chosen.lines_added, 0) as lines_added,
        coalesce(chosen.lines_removed, 0) as lines_removed,
        chosen.change_type
    from chosen
    left join categories on chosen.tool_name = categories.tool_name
)

select * from judged
