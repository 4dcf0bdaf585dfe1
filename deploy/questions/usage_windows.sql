/*
title = "Five-hour windows"
answers = "How much of each five-hour window did we use, and how will the open one end?"
dashboard = "Spend"
position = 25
display = "table"
by = "window"
series = "state"
top = 8
spans_projects = true
note = "All projects together. A window opens at the full hour before its first call. While one is open, its end is what it comes to at the rate of its calls so far."

[columns]
day = "date"
window = "moment"
state = "text"
cost_usd = "usd"
projected_cost_usd = "usd"
tokens = "tokens"
projected_tokens = "tokens"
busy_hours = "hours"
busy_minutes = "count"
calls = "count"

[[measures]]
label = "Spend"
of = "cost_usd"

[[measures]]
label = "At its end"
of = "projected_cost_usd"

[[measures]]
label = "Spend per hour"
of = "cost_usd"
per = "busy_hours"
unit = "usd"

[[measures]]
label = "Tokens"
of = "tokens"

[[measures]]
label = "Tokens at its end"
of = "projected_tokens"

[[measures]]
label = "Tokens per minute"
of = "tokens"
per = "busy_minutes"
unit = "tokens"

[[measures]]
label = "API calls"
of = "calls"
*/
select
    date_key as day,
    strftime(local_start, '%Y-%m-%d %H:%M') as "window",
    case when window_end > now() then 'open' else 'ended' end as state,
    coalesce(cost_usd, 0) as cost_usd,
    coalesce(case when window_end > now() then projected_cost_usd else cost_usd end, 0) as projected_cost_usd,
    total_tokens as tokens,
    case when window_end > now() then projected_tokens else total_tokens end as projected_tokens,
    busy_minutes / 60 as busy_hours,
    busy_minutes,
    api_calls as calls
from marts.agg_usage_windows
where not is_gap
