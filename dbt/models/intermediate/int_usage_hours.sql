-- A call in the very moment of a full hour still belongs to a window that ends there, so it is kept apart.
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

hours as (
    select
        hour,
        is_on_the_hour,
        count(*) as api_calls,
        {{ total('input_tokens') }} as input_tokens,
        {{ total('output_tokens') }} as output_tokens,
        {{ total('cache_write_5m_tokens') }} as cache_write_5m_tokens,
        {{ total('cache_write_1h_tokens') }} as cache_write_1h_tokens,
        {{ total('cache_read_tokens') }} as cache_read_tokens,
        {{ total('total_tokens') }} as total_tokens,
        {{ total_usd('cost_usd') }} as cost_usd,
        {{ count_if('cost_usd is null') }} as unpriced_calls,
        min(created_at) as first_call_at,
        max(created_at) as last_call_at
    from placed
    group by hour, is_on_the_hour
)

select * from hours
