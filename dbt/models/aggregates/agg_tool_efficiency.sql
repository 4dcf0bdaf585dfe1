with tool_calls as (
    select * from {{ ref('fct_tool_calls') }}
),

tools as (
    select * from {{ ref('dim_tools') }}
),

error_counts as (
    select
        tool_key,
        error_category,
        row_number() over (partition by tool_key order by count(*) desc, error_category) as row_rank
    from tool_calls
    where status = 'error'
    group by tool_key, error_category
),

counts as (
    select
        tool_key,
        count(*) as total_calls,
        {{ count_if('has_result') }} as results,
        {{ count_if("status = 'success'") }} as successes,
        {{ count_if("status = 'error'") }} as errors,
        {{ count_if("status = 'rejected'") }} as rejections,
        {{ count_if("status = 'no_result'") }} as unanswered,
        count(distinct session_key) as sessions,
        {{ percentile('execution_time_ms', 0.5) }} as p50_execution_time_ms,
        {{ percentile('execution_time_ms', 0.95) }} as p95_execution_time_ms,
        {{ total('lines_added') }} as lines_added,
        {{ total('lines_removed') }} as lines_removed
    from tool_calls
    group by tool_key
),

final as (
    select
        tools.tool_key,
        tools.tool_name,
        tools.tool_category,
        tools.mcp_server,
        -- Its durations are a person's, too.
        tools.waits_for_human,
        counts.total_calls,
        counts.results,
        counts.successes,
        counts.errors,
        counts.rejections,
        counts.unanswered,
        -- A rejection is a person's decision: it counts neither as success nor as failure.
        {{ ratio('counts.successes', '(counts.successes + counts.errors)') }} as success_rate,
        {{ ratio('counts.errors', '(counts.successes + counts.errors)') }} as error_rate,
        {{ ratio('counts.rejections', 'counts.total_calls') }} as rejection_rate,
        error_counts.error_category as most_frequent_error,
        counts.sessions,
        counts.p50_execution_time_ms,
        counts.p95_execution_time_ms,
        counts.lines_added,
        counts.lines_removed
    from counts
    inner join tools on counts.tool_key = tools.tool_key
    left join error_counts on counts.tool_key = error_counts.tool_key and error_counts.row_rank = 1
)

select * from final
