-- One row for each day between the first and the last, in the calendar and in the daily summary; days that only a
-- broken clock has are there alone.
with span as (
    select
        count(*) as days,
        max(date_key) - min(date_key) + 1 as expected_days
    from {{ ref('dim_date') }}
    where date_key between cast('2020-01-01' as date) and cast('2099-12-31' as date)
),

summarised as (
    select
        count(*) as days,
        (select count(*) from {{ ref('agg_daily_summary') }}) as expected_days
    from {{ ref('dim_date') }}
    inner join {{ ref('agg_daily_summary') }} as summary on dim_date.date_key = summary.date_key
),

calendar as (
    select
        count(*) as days,
        (select days from summarised) as expected_days
    from {{ ref('dim_date') }}
)

select * from span where days > 0 and days <> expected_days
union all
select * from summarised where days <> expected_days
union all
select * from calendar where days <> expected_days
