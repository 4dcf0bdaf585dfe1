with hours as (
    select number as slot
    from {{ number_series(168) }}
),

slots as (
    select
        cast((slot - slot % 24) / 24 as integer) + 1 as day_of_week,
        cast(slot % 24 as integer) as hour_of_day
    from hours
),

messages as (
    select
        day_of_week,
        hour_of_day,
        count(*) as messages,
        {{ count_if("user_kind = 'prompt'") }} as prompts,
        count(distinct session_key) as sessions
    from {{ ref('fct_messages') }}
    where created_at is not null
    group by day_of_week, hour_of_day
),

tool_call_times as (
    select
        {{ time_part('isodow', local_time('created_at')) }} as day_of_week,
        {{ time_part('hour', local_time('created_at')) }} as hour_of_day,
        status
    from {{ ref('fct_tool_calls') }}
    where created_at is not null
),

tool_calls as (
    select
        day_of_week,
        hour_of_day,
        count(*) as tool_calls,
        {{ count_if("status = 'error'") }} as tool_errors
    from tool_call_times
    group by day_of_week, hour_of_day
),

api_call_times as (
    select
        {{ time_part('isodow', local_time('created_at')) }} as day_of_week,
        {{ time_part('hour', local_time('created_at')) }} as hour_of_day,
        cost_usd,
        total_tokens
    from {{ ref('fct_api_calls') }}
    where created_at is not null
),

spending as (
    select
        day_of_week,
        hour_of_day,
        {{ total_usd('cost_usd') }} as cost_usd,
        {{ count_if('cost_usd is null') }} as unpriced_calls,
        {{ total('case when cost_usd is null then total_tokens end') }} as unpriced_tokens
    from api_call_times
    group by day_of_week, hour_of_day
),

active_time as (
    select
        day_of_week,
        hour_of_day,
        {{ total_seconds('active_seconds') }} as active_seconds
    from {{ ref('fct_active_hours') }}
    group by day_of_week, hour_of_day
),

final as (
    select
        slots.day_of_week * 100 + slots.hour_of_day as slot_key,
        slots.day_of_week,
        {{ day_name('slots.day_of_week') }} as day_name,
        slots.hour_of_day,
        coalesce(messages.messages, 0) as messages,
        coalesce(messages.prompts, 0) as prompts,
        coalesce(messages.sessions, 0) as sessions,
        coalesce(tool_calls.tool_calls, 0) as tool_calls,
        coalesce(tool_calls.tool_errors, 0) as tool_errors,
        -- Null, not 0, where no call has a price.
        case when spending.hour_of_day is null then 0 else spending.cost_usd end as cost_usd,
        coalesce(spending.unpriced_calls, 0) as unpriced_calls,
        coalesce(spending.unpriced_tokens, 0) as unpriced_tokens,
        coalesce(active_time.active_seconds, 0) as active_seconds
    from slots
    left join messages
        on slots.day_of_week = messages.day_of_week and slots.hour_of_day = messages.hour_of_day
    left join tool_calls
        on slots.day_of_week = tool_calls.day_of_week and slots.hour_of_day = tool_calls.hour_of_day
    left join spending
        on slots.day_of_week = spending.day_of_week and slots.hour_of_day = spending.hour_of_day
    left join active_time
        on slots.day_of_week = active_time.day_of_week and slots.hour_of_day = active_time.hour_of_day
)

select * from final
