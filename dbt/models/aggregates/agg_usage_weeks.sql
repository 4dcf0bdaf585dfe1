-- The weeks that weekly limits count: they begin at the hour of the week that an account is given, which no log
-- says; `usage_week_start_hour` does.
with calls as (
    select
        *,
        {{ local_time('created_at') }} as local_created_at
    from {{ ref('fct_api_calls') }}
    where created_at is not null
),

placed as (
    select
        *,
        -- Hours since a Monday at midnight, less those that the week begins later.
        {{ days_between("cast('2001-01-01' as date)", 'cast(local_created_at as date)') }} * 24
        + {{ time_part('hour', 'local_created_at') }} - {{ var('usage_week_start_hour') }} as hours
    from calls
),

numbered as (
    select
        *,
        cast((hours - ((hours % 168) + 168) % 168) / 168 as integer) as week_number
    from placed
),

weeks as (
    select
        week_number,
        {{ usage_sums() }},
        max(hours) - week_number * 168 + 1 as hours_passed
    from numbered
    group by week_number
),

final as (
    select
        {{ days_after(
            "cast('2001-01-01' as date)", "week_number * 7 + " ~ (var('usage_week_start_hour') | int // 24)
        ) }} as week_start_date,
        {{ var('usage_week_start_hour') | int % 24 }} as week_start_hour,
        {{ local_date('first_call_at') }} as date_key,
        week_number = max(week_number) over () as is_last,
        first_call_at,
        last_call_at,
        api_calls,
        input_tokens,
        output_tokens,
        cache_write_5m_tokens,
        cache_write_1h_tokens,
        cache_read_tokens,
        total_tokens,
        cost_usd,
        unpriced_calls,
        {{ ratio('cost_usd * 24', 'hours_passed') }} as cost_per_day_usd,
        {{ ratio('total_tokens * 168.0', 'hours_passed') }} as projected_tokens,
        {{ ratio('cost_usd * 168', 'hours_passed') }} as projected_cost_usd
    from weeks
)

select * from final
