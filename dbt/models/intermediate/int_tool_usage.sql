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
        results.notebook_lines,
        results.web_search_requests,
        row_number() over (
            partition by calls.session_id, calls.call_id
            order by
                case when results.line_id is null then 1 else 0 end,
                -- The answer in the call's own conversation, else the one that a fork got.
                case when results.is_from_fork then 1 else 0 end,
                case when calls.is_sidechain then 1 else 0 end,
                calls.written_at nulls last,
                calls.line_id,
                calls.block_index,
                results.written_at nulls last,
                results.line_id,
                results.block_index
        ) as row_rank
    from calls
    left join results
        on
            calls.session_id = results.session_id
            and calls.line_id = results.call_line_id
            and calls.block_index = results.call_block_index
),

chosen as (
    select * from joined
    where row_rank = 1
),

judged as (
    select
        chosen.call_id,
        chosen.tool_use_id,
        chosen.answer_id,
        chosen.message_id,
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
        -- A notebook's cell is given whole, and nothing says what it replaces.
        case
            when {{ reads_files('chosen.tool_name') }} then 0
            when
                chosen.tool_name = 'NotebookEdit'
                and not chosen.result_is_error
                and coalesce(chosen.edit_mode, '') <> 'delete'
                then coalesce(nullif(chosen.lines_added, 0), chosen.notebook_lines, chosen.asked_lines, 0)
            else coalesce(chosen.lines_added, 0)
        end as lines_added,
        case when {{ reads_files('chosen.tool_name') }} then 0 else coalesce(chosen.lines_removed, 0) end
            as lines_removed,
        coalesce(chosen.web_search_requests, 0) as web_search_requests,
        chosen.change_type
    from chosen
    left join categories on chosen.tool_name = categories.tool_name
)

select * from judged
