/*
title = "Saved by the cache"
answers = "What would it have cost without the cache?"
dashboard = "Spend"
position = 70
display = "columns"
by = "day"
note = "Against paying each cached token as fresh input. In list prices output costs five times as much as input, a cache write 1.25 or 2 times, a cache read a tenth."

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
with weighed as (
    select
        date_key,
        project_id,
        cost_usd,
        -- In units of one fresh input token.
        input_tokens + 5.0 * output_tokens + 1.25 * cache_write_5m_tokens + 2.0 * cache_write_1h_tokens
        + 0.1 * cache_read_tokens as paid,
        input_tokens + 5.0 * output_tokens + cache_write_5m_tokens + cache_write_1h_tokens
        + cache_read_tokens as uncached
    from marts.fct_api_calls
    where cost_usd is not null
),

priced as (
    select
        date_key,
        project_id,
        cost_usd,
        cost_usd * uncached / paid as uncached_usd
    from weighed
    where paid > 0
)

select
    date_key as day,
    project_id as project,
    sum(cost_usd) as cost_usd,
    sum(uncached_usd) - sum(cost_usd) as saved_usd,
    sum(uncached_usd) as uncached_usd
from priced
group by date_key, project_id
