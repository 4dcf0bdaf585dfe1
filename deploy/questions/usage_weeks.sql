/*
# Much like usage_windows.sql, of another mart. Each question is a statement by itself: a card shows it, anyone may paste it.
title = "Weeks of the subscription"
answers = "How much of each week did we use, and how will this one end?"
dashboard = "Spend"
position = 26
display = "table"
by = "week"
series = "state"
top = 6
spans_projects = true
note = "All projects together. Weeks begin at the hour that USAGE_WEEK_START_HOUR says. While one lasts, its end is what it comes to at its rate so far."

[columns]
day = "date"
week = "moment"
state = "text"
cost_usd = "usd"
projected_cost_usd = "usd"
tokens = "tokens"
projected_tokens = "tokens"
calls = "count"

[[measures]]
label = "Spend"
of = "cost_usd"

[[measures]]
label = "At its end"
of = "projected_cost_usd"

[[measures]]
label = "Tokens"
of = "tokens"

[[measures]]
label = "Tokens at its end"
of = "projected_tokens"

[[measures]]
label = "API calls"
of = "calls"
*/
with weeks as (
    select
        *,
        -- Seven days after the day it began on, in every time zone a day more at most.
        is_last and week_start_date + 7 > current_date as is_open
    from marts.agg_usage_weeks
)

select
    date_key as day,
    strftime(week_start_date, '%Y-%m-%d') as week,
    case when is_open then 'open' else 'ended' end as state,
    coalesce(cost_usd, 0) as cost_usd,
    coalesce(case when is_open then projected_cost_usd else cost_usd end, 0) as projected_cost_usd,
    total_tokens as tokens,
    case when is_open then projected_tokens else total_tokens end as projected_tokens,
    api_calls as calls
from weeks
