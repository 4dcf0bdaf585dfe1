/*
title = "Spend over time"
answers = "What do we spend, and on which models?"
dashboard = "Spend"
position = 10
display = "columns"
by = "day"
series = "model"

[columns]
day = "date"
project = "project"
model = "text"
cost_usd = "usd"

[[measures]]
label = "Spend"
of = "cost_usd"
*/
select
    date_key as day,
    project_id as project,
    coalesce(model, 'unknown') as model,
    coalesce(sum(cost_usd), 0) as cost_usd
from marts.agg_daily_cost
where api_calls > 0
group by date_key, project_id, coalesce(model, 'unknown')
