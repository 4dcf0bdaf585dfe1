{%- set parts = cost_parts() | join(' + ') -%}
{%- set tokens = token_kinds().keys() | join(', ') -%}
-- No call used less than nothing, what has no price has no cost, and the parts of a cost make it up.
with calls as (
    select
        line_id,
        model_family,
        cost_usd,
        {{ parts }} as parts_usd,
        least({{ tokens }}, total_tokens) as fewest_tokens
    from {{ ref('fct_api_calls') }}

    union all

    select
        line_id,
        model_family,
        cost_usd,
        {{ parts }} as parts_usd,
        least({{ tokens }}, total_tokens) as fewest_tokens
    from {{ ref('fct_progress_api_calls') }}
)

select
    line_id,
    cost_usd,
    parts_usd,
    fewest_tokens
from calls
where
    fewest_tokens < 0
    or cost_usd < 0
    or abs(cost_usd - parts_usd) > 0.000000001 * greatest(1, cost_usd)
    or (cost_usd is null) <> (parts_usd is null)
    or (
        cost_usd is not null
        and model_family not in (select prices.model_family from {{ ref('stg_model_prices') }} as prices)
    )
