with dates as (
    select * from {{ ref('dim_date') }}
),

messages as (
    select
        date_key,
        count(*) as messages,
        count(distinct session_key) as active_sessions,
        {{ count_if("user_kind = 'prompt'") }} as prompts
    from {{ ref('fct_messages') }}
    group by date_key
),

tool_calls as (
    select
        date_key,
        count(*) as tool_calls,
        {{ count_if("status = 'error'") }} as tool_errors,
        {{ count_if("status = 'rejected'") }} as tool_rejections,
        {{ total('lines_added') }} as lines_added,
        {{ total('lines_removed') }} as lines_removed
    from {{ ref('fct_tool_calls') }}
    group by date_key
),

spending as (
    select
        date_key,
        count(*) as api_calls,
        {{ total('total_tokens') }} as total_tokens,
        {{ total('output_tokens') }} as output_tokens,
        {{ total_usd('cost_usd') }} as cost_usd,
        {{ count_if('cost_usd is null') }} as unpriced_calls,
        {{ total('case when cost_usd is null then total_tokens end') }} as unpriced_tokens,
        {{ joined('case when cost_usd is null then model end') }} as unpriced_models
    from {{ ref('fct_api_calls') }}
    group by date_key
),

progress_spending as (
    select
        date_key,
        {{ total_usd('cost_usd') }} as cost_usd,
        {{ count_if('cost_usd is null') }} as unpriced_calls
    from {{ ref('fct_progress_api_calls') }}
    group by date_key
),

sessions as (
    select
        date_key,
        count(*) as started_sessions
    from {{ ref('dim_sessions') }}
    group by date_key
),

active_time as (
    select
        date_key,
        {{ total_seconds('active_seconds') }} as active_seconds
    from {{ ref('fct_active_hours') }}
    group by date_key
),

final as (
    select
        dates.date_key,
        dates.day_name,
        dates.is_weekend,
        coalesce(sessions.started_sessions, 0) as started_sessions,
        coalesce(messages.active_sessions, 0) as active_sessions,
        coalesce(messages.messages, 0) as messages,
        coalesce(messages.prompts, 0) as prompts,
        coalesce(tool_calls.tool_calls, 0) as tool_calls,
        coalesce(tool_calls.tool_errors, 0) as tool_errors,
        coalesce(tool_calls.tool_rejections, 0) as tool_rejections,
        coalesce(tool_calls.lines_added, 0) as lines_added,
        coalesce(tool_calls.lines_removed, 0) as lines_removed,
        coalesce(spending.api_calls, 0) as api_calls,
        coalesce(spending.total_tokens, 0) as total_tokens,
        coalesce(spending.output_tokens, 0) as output_tokens,
        case when coalesce(spending.api_calls, 0) = 0 then 0 else spending.cost_usd end as cost_usd,
        coalesce(spending.unpriced_calls, 0) as unpriced_calls,
        coalesce(spending.unpriced_tokens, 0) as unpriced_tokens,
        spending.unpriced_models,
        coalesce(progress_spending.cost_usd, 0) as progress_cost_usd,
        coalesce(progress_spending.unpriced_calls, 0) as progress_unpriced_calls,
        coalesce(active_time.active_seconds, 0) as active_seconds
    from dates
    left join messages on dates.date_key = messages.date_key
    left join tool_calls on dates.date_key = tool_calls.date_key
    left join spending on dates.date_key = spending.date_key
    left join progress_spending on dates.date_key = progress_spending.date_key
    left join sessions on dates.date_key = sessions.date_key
    left join active_time on dates.date_key = active_time.date_key
)

select * from final
