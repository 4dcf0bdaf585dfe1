/*
title = "Models compared"
answers = "Which models cost most, in all and per call?"
dashboard = "Spend"
position = 40
display = "bars"
by = "model"

[columns]
day = "date"
project = "project"
model = "text"
cost_usd = "usd"
calls = "count"
tokens = "tokens"

[[measures]]
label = "Spend"
of = "cost_usd"

[[measures]]
label = "Calls"
of = "calls"
is_charted = false

[[measures]]
label = "Tokens"
of = "tokens"
is_charted = false

[[measures]]
label = "Spend per call"
of = "cost_usd"
per = "calls"
unit = "usd"
is_charted = false
*/
select
    date_key as day,
    project_id as project,
    coalesce(model, 'unknown') as model,
    coalesce(sum(cost_usd), 0) as cost_usd,
    sum(api_calls) as calls,
    sum(total_tokens) as tokens
from marts.agg_daily_cost
where api_calls > 0
group by date_key, project_id, coalesce(model, 'unknown')
