with calls as (
    select
        model,
        model_family,
        created_at,
        total_tokens,
        cost_usd
    from {{ ref('fct_api_calls') }}
    union all
    select
        model,
        model_family,
        created_at,
        total_tokens,
        cost_usd
    from {{ ref('fct_progress_api_calls') }}
),

models as (
    select
        model,
        min(model_family) as model_family,
        count(*) as total_calls,
        {{ total('total_tokens') }} as total_tokens,
        {{ total_usd('cost_usd') }} as cost_usd,
        {{ count_if('cost_usd is null') }} as unpriced_calls,
        {{ total('case when cost_usd is null then total_tokens end') }} as unpriced_tokens,
        min(created_at) as first_used_at,
        max(created_at) as last_used_at
    from calls
    group by model
),

final as (
    select
        {{ surrogate_key(['model']) }} as model_key,
        model,
        model_family,
        unpriced_calls = 0 as has_price,
        total_calls,
        total_tokens,
        cost_usd,
        unpriced_calls,
        unpriced_tokens,
        first_used_at,
        last_used_at
    from models
)

select * from final
