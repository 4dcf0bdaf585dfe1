/*
title = "Calls without a price"
answers = "Which models are missing in the spend because their price is unknown?"
dashboard = "Spend"
position = 110
display = "table"
by = "model"
may_be_empty = true
note = "Give their prices in a file (setting MODEL_PRICES_FILE)."

[columns]
day = "date"
project = "project"
model = "text"
calls = "count"
tokens = "tokens"

[[measures]]
label = "Calls"
of = "calls"

[[measures]]
label = "Tokens"
of = "tokens"
*/
select
    date_key as day,
    project_id as project,
    coalesce(model, 'unknown') as model,
    sum(unpriced_calls) as calls,
    sum(unpriced_tokens) as tokens
from marts.agg_daily_cost
where unpriced_calls > 0
group by date_key, project_id, coalesce(model, 'unknown')
