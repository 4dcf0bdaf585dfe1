-- The days show all that was spent, no more and no less.
with days as (
    select
        {{ total('api_calls') }} as api_calls,
        {{ total('total_tokens') }} as tokens,
        {{ total('progress_tokens') }} as progress_tokens
    from {{ ref('agg_daily_cost') }}
),

calls as (
    select
        count(*) as api_calls,
        {{ total('total_tokens') }} as tokens
    from {{ ref('fct_api_calls') }}
),

progress_calls as (
    select {{ total('total_tokens') }} as tokens
    from {{ ref('fct_progress_api_calls') }}
)

select
    days.tokens,
    calls.tokens as tokens_of_calls
from days
cross join calls
cross join progress_calls
where
    days.api_calls <> calls.api_calls
    or days.tokens <> calls.tokens
    or days.progress_tokens <> progress_calls.tokens
