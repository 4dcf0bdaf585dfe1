/*
title = "Spend by week and project"
answers = "Which projects drive the cost?"
dashboard = "Spend"
position = 30
display = "columns"
by = "day"
grain = "week"
series = "project"

[columns]
day = "date"
project = "project"
cost_usd = "usd"

[[measures]]
label = "Spend"
of = "cost_usd"
*/
select
    date_key as day,
    project_id as project,
    coalesce(sum(cost_usd), 0) as cost_usd
from marts.agg_daily_cost
where api_calls > 0
group by date_key, project_id
