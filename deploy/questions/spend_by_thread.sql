/*
title = "Main thread and subagents"
answers = "How much of the spend do subagents cause?"
dashboard = "Spend"
position = 90
display = "columns"
by = "day"
series = "thread"

[columns]
day = "date"
project = "project"
thread = "text"
cost_usd = "usd"

[[measures]]
label = "Spend"
of = "cost_usd"
*/
select
    date_key as day,
    project_id as project,
    case when is_sidechain then 'subagents' else 'main thread' end as thread,
    coalesce(sum(cost_usd), 0) as cost_usd
from marts.fct_api_calls
group by date_key, project_id, case when is_sidechain then 'subagents' else 'main thread' end
