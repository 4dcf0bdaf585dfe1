{%- set money = [
    'input_usd', 'output_usd', 'cache_write_5m_usd', 'cache_write_1h_usd', 'cache_read_usd', 'input_long_usd',
    'output_long_usd', 'cache_write_5m_long_usd', 'cache_write_1h_long_usd', 'cache_read_long_usd', 'fast_multiplier',
] -%}
{%- set types = {
    'model_family': dbt.type_string(), 'valid_from': 'date', 'valid_to': 'date', 'long_context_above_tokens': 'bigint',
} -%}
{%- for column in money -%}{%- do types.update({column: double_type()}) -%}{%- endfor -%}
-- The seed's prices; where a file of own ones is given, both merged.
-- depends on: {{ ref('model_prices') }}
-- What macros write is laid out for them, not for this file.
-- noqa: disable=LT02, LT05
with listed as (
    {% if var('model_prices') -%}
    {{ given_rows(var('model_prices'), types) }}
    {%- else -%}
    select * from {{ ref('model_prices') }}
    {%- endif %}
),

prices as (
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
    from listed
)

select * from prices
