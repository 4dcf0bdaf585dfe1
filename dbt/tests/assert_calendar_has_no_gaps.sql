-- One row for each day between the first and the last, in the calendar and in the daily summary; days that only a
-- broken clock has are there alone.
with calendar as (
    select
        count(*) as days,
        {{ days_between('min(date_key)', 'max(date_key)') }} + 1 as expected_days
    from {{ ref('dim_date') }}
    where date_key between cast('2020-01-01' as date) and cast('2099-12-31' as date)
),

summary as (
    select
        count(summary.date_key) as days,
        count(*) as expected_days
    from {{ ref('dim_date') }} as calendar
    left join {{ ref('agg_daily_summary') }} as summary on calendar.date_key = summary.date_key
)

select * from calendar
where days > 0 and days <> expected_days

union all

select * from summary
where days <> expected_days
