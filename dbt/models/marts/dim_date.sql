-- Every day from the first to the last that any fact or session falls on, without gaps between 2020 and 2099.
with days as (
    select date_key from {{ ref('fct_messages') }}
    union all
    select date_key from {{ ref('fct_tool_calls') }}
    union all
    select date_key from {{ ref('fct_api_calls') }}
    union all
    select date_key from {{ ref('fct_progress_api_calls') }}
    union all
    select date_key from {{ ref('fct_active_hours') }}
    union all
    select date_key from {{ ref('dim_sessions') }}
),

bounds as (
    select
        min(date_key) as first_day,
        max(date_key) as last_day
    from days
    -- A line dated by a broken clock shall not bring millions of days along: its own day is enough.
    where date_key between cast('2020-01-01' as date) and cast('2099-12-31' as date)
),

calendar as (
    select {{ days_after('bounds.first_day', 'series.number') }} as date_key
    from bounds
    cross join lateral {{ number_series(days_between('bounds.first_day', 'bounds.last_day') ~ ' + 1') }}
    union distinct
    select date_key from days
),

final as (
    select
        date_key,
        {{ time_part('year', 'date_key') }} as year,
        {{ time_part('quarter', 'date_key') }} as quarter,
        {{ time_part('month', 'date_key') }} as month,
        {{ time_part('week', 'date_key') }} as week,
        {{ time_part('day', 'date_key') }} as day,
        {{ time_part('isodow', 'date_key') }} as day_of_week,
        {{ day_name(time_part('isodow', 'date_key')) }} as day_name,
        {{ time_part('isodow', 'date_key') }} >= 6 as is_weekend
    from calendar
    where date_key is not null
)

select * from final
