-- What conversations spent is what the API calls cost: every token counts once, for one conversation.
with sessions as (
    select
        {{ total('api_call_count') }} as api_calls,
        {{ total('input_tokens + output_tokens + cache_read_tokens') }} as tokens,
        {{ total('cache_write_5m_tokens + cache_write_1h_tokens') }} as cache_writes,
        coalesce({{ total_usd('cost_usd') }}, 0) as cost_usd
    from {{ ref('dim_sessions') }}
),

calls as (
    select
        count(*) as api_calls,
        {{ total('input_tokens + output_tokens + cache_read_tokens') }} as tokens,
        {{ total('cache_write_5m_tokens + cache_write_1h_tokens') }} as cache_writes,
        coalesce({{ total_usd('cost_usd') }}, 0) as cost_usd
    from {{ ref('fct_api_calls') }}
)

select
    sessions.api_calls,
    calls.api_calls as calls_of_api
from sessions
cross join calls
where
    sessions.api_calls <> calls.api_calls
    or sessions.tokens <> calls.tokens
    or sessions.cache_writes <> calls.cache_writes
    or abs(sessions.cost_usd - calls.cost_usd) > 0.005
