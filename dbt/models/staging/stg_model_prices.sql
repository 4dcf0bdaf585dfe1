with prices as (
    select
        model_family,
        valid_from,
        coalesce(valid_to, cast('9999-12-31' as date)) as valid_to,
        input_usd,
        output_usd,
        cache_write_5m_usd,
        cache_write_1h_usd,
        cache_read_usd,
        long_context_above_tokens,
        coalesce(input_long_usd, input_usd) as input_long_usd,
        coalesce(output_long_usd, output_usd) as output_long_usd,
        coalesce(cache_write_5m_long_usd, cache_write_5m_usd) as cache_write_5m_long_usd,
        coalesce(cache_write_1h_long_usd, cache_write_1h_usd) as cache_write_1h_long_usd,
        coalesce(cache_read_long_usd, cache_read_usd) as cache_read_long_usd,
        fast_multiplier
    from {{ ref('model_prices') }}
)

select * from prices
