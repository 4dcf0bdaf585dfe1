-- Windows of five hours as the clients count them: the first call opens one at the full hour before it, the first
-- call after its end opens the next. Nothing here depends on when it is built: which window is open now, whoever
-- asks compares `window_end` with the clock.
-- What macros write is laid out for them, not for this file.
-- noqa: disable=LT02, LT05
with calls as (
    select
        *,
        {{ epoch_milliseconds('created_at') }} as called_ms
    from {{ ref('fct_api_calls') }}
    where created_at is not null
),

placed as (
    select
        *,
        called_ms % 3600000 = 0 as is_on_the_hour,
        -- Division of what is divisible: the same on every engine, whatever it divides whole numbers to.
        cast((called_ms - ((called_ms % 3600000) + 3600000) % 3600000) / 3600000 as bigint) as hour
    from calls
),

-- A call in the very moment of a full hour still belongs to a window that ends there, so it is kept apart.
moments as (
    select distinct
        hour,
        is_on_the_hour
    from placed
),

hours as (
    select
        hour,
        {{ any_true('not is_on_the_hour') }} as has_later_calls
    from moments
    group by hour
),

links as (
    select
        hour,
        lag(hour) over (order by hour) as last_hour,
        coalesce(
            max(case when has_later_calls then hour end)
                over (order by hour range between 5 following and 5 following),
            min(hour) over (order by hour range between 6 following and unbounded following)
        ) as next_hour
    from hours
),

openings as (
    {{ opening_hours('links') }}
),

windows as (
    select
        opening_hour,
        lag(opening_hour) over (order by opening_hour) + 5 as previous_end_hour
    from openings
),

windows_of_moments as (
    select
        moments.hour,
        moments.is_on_the_hour,
        windows.opening_hour
    from windows
    inner join moments
        on
            windows.opening_hour <= moments.hour
            and windows.opening_hour + 5 >= moments.hour
    where
        -- The moment of its end is a window's own, the rest of that hour is not.
        (moments.hour < windows.opening_hour + 5 or moments.is_on_the_hour)
        and (
            windows.previous_end_hour is null
            or moments.hour > windows.previous_end_hour
            or (moments.hour = windows.previous_end_hour and not moments.is_on_the_hour)
        )
),

measured as (
    select
        windows_of_moments.opening_hour,
        {{ usage_sums() }}
    from placed
    inner join windows_of_moments
        on placed.hour = windows_of_moments.hour and placed.is_on_the_hour = windows_of_moments.is_on_the_hour
    group by windows_of_moments.opening_hour
),

timed as (
    select
        *,
        {{ instant_of('opening_hour * 3600000') }} as window_start,
        {{ instant_of('(opening_hour + 5) * 3600000') }} as window_end,
        {{ milliseconds_between('first_call_at', 'last_call_at') }} as busy_ms,
        (opening_hour + 5) * 3600000 - {{ epoch_milliseconds('last_call_at') }} as left_ms,
        lead(first_call_at) over (order by opening_hour) as next_call_at
    from measured
),

used as (
    select
        {{ surrogate_key(["'window'", 'opening_hour']) }} as window_key,
        {{ local_date('first_call_at') }} as date_key,
        window_start,
        {{ local_time('window_start') }} as local_start,
        window_end,
        false as is_gap,
        next_call_at is null as is_last,
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
        {{ ratio('busy_ms', 60000) }} as busy_minutes,
        {{ ratio('total_tokens * 60000.0', 'busy_ms') }} as tokens_per_minute,
        {{ ratio('cost_usd * 3600000.0', 'busy_ms') }} as cost_per_hour_usd,
        total_tokens + coalesce({{ ratio('total_tokens * 1.0 * left_ms', 'busy_ms') }}, 0) as projected_tokens,
        cost_usd + coalesce({{ ratio('cost_usd * left_ms', 'busy_ms') }}, 0) as projected_cost_usd
    from timed
),

gaps as (
    select
        {{ surrogate_key(["'gap'", 'opening_hour']) }} as window_key,
        {{ instant_of(epoch_milliseconds('last_call_at') ~ ' + 18000000') }} as gap_start,
        next_call_at as gap_end
    from timed
    where {{ milliseconds_between('last_call_at', 'next_call_at') }} > 18000000
),

final as (
    select * from used
    union all
    select
        window_key,
        {{ local_date('gap_start') }} as date_key,
        gap_start as window_start,
        {{ local_time('gap_start') }} as local_start,
        gap_end as window_end,
        true as is_gap,
        false as is_last,
        cast(null as {{ instant_type() }}) as first_call_at,
        cast(null as {{ instant_type() }}) as last_call_at,
        cast(0 as bigint) as api_calls,
        cast(0 as bigint) as input_tokens,
        cast(0 as bigint) as output_tokens,
        cast(0 as bigint) as cache_write_5m_tokens,
        cast(0 as bigint) as cache_write_1h_tokens,
        cast(0 as bigint) as cache_read_tokens,
        cast(0 as bigint) as total_tokens,
        cast(0 as {{ double_type() }}) as cost_usd,
        cast(0 as bigint) as unpriced_calls,
        cast(0 as {{ double_type() }}) as busy_minutes,
        cast(null as {{ double_type() }}) as tokens_per_minute,
        cast(null as {{ double_type() }}) as cost_per_hour_usd,
        cast(null as {{ double_type() }}) as projected_tokens,
        cast(null as {{ double_type() }}) as projected_cost_usd
    from gaps
)

select * from final
