-- What macros write is laid out for them, not for this file.
-- noqa: disable=LT02, LT05
with iterations as (
    select
        *,
        {{ model_family('model') }} as model_family,
        {{ is_fast_model('model') }} as is_fast,
        input_tokens + output_tokens + cache_write_5m_tokens + cache_write_1h_tokens + cache_read_tokens
            as total_tokens
    from {{ ref('stg_iterations') }}
),

prices as (
    select * from {{ ref('stg_model_prices') }}
),

priced as (
    select
        iterations.*,
        {{ price_columns() }}
    from iterations
    left join prices on {{ is_price_of('iterations', 'iterations.written_at') }}
),

costs as (
    select
        line_id,
        iteration_kind,
        total_tokens,
        ({{ token_costs() | join(' + ') }}) * fast_factor / 1000000 as cost_usd
    from priced
),

final as (
    select
        line_id,
        {%- for kind in ['advisor', 'fallback'] %}
        {{ total("case when iteration_kind = '" ~ kind ~ "' then total_tokens end") }} as {{ kind }}_tokens,
        coalesce({{ total_usd("case when iteration_kind = '" ~ kind ~ "' then cost_usd end") }}, 0)
            as {{ kind }}_cost_usd,
        {%- endfor %}
        {{ count_if('cost_usd is null') }} = 0 as has_price
    from costs
    group by line_id
)

select * from final
