/*
title = "Saved by the cache"
answers = "What would it have cost without the cache?"
dashboard = "Spend"
position = 70
display = "columns"
by = "day"
note = "Against paying each cached token as fresh input, at the price that the same call paid for it."

[columns]
day = "date"
project = "project"
cost_usd = "usd"
saved_usd = "usd"
uncached_usd = "usd"

[[measures]]
label = "Spent"
of = "cost_usd"

[[measures]]
label = "Saved"
of = "saved_usd"

[[measures]]
label = "Saved share"
of = "saved_usd"
per = "uncached_usd"
unit = "share"
is_charted = false
*/
with parts as (
    select
        date_key,
        project_id,
        cost_usd,
        cache_write_5m_tokens + cache_write_1h_tokens + cache_read_tokens as cached_tokens,
        cache_write_5m_cost_usd + cache_write_1h_cost_usd + cache_read_cost_usd as cached_usd,
        input_cost_usd + output_cost_usd + cache_write_5m_cost_usd + cache_write_1h_cost_usd + cache_read_cost_usd
            as tokens_usd,
        geography_cost_usd + batch_cost_usd as factors_usd,
        -- Of a call without fresh input the price follows from the list's usual proportions.
        coalesce(
            input_cost_usd / nullif(input_tokens, 0),
            cache_write_5m_cost_usd / nullif(1.25 * cache_write_5m_tokens, 0),
            cache_write_1h_cost_usd / nullif(2.0 * cache_write_1h_tokens, 0),
            cache_read_cost_usd / nullif(0.1 * cache_read_tokens, 0),
            0
        ) as fresh_token_usd
    from marts.fct_api_calls
    where cost_usd is not null
),

compared as (
    select
        date_key,
        project_id,
        cost_usd,
        -- A region and a batch change the price of all tokens alike.
        (cached_tokens * fresh_token_usd - cached_usd) * coalesce(1 + factors_usd / nullif(tokens_usd, 0), 1)
            as saved_usd
    from parts
)

select
    date_key as day,
    project_id as project,
    sum(cost_usd) as cost_usd,
    sum(saved_usd) as saved_usd,
    sum(cost_usd) + sum(saved_usd) as uncached_usd
from compared
group by date_key, project_id
