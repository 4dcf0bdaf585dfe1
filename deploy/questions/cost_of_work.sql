/*
title = "Spend per active hour"
answers = "What does an hour of work with Claude Code cost?"
dashboard = "Spend"
position = 80
display = "line"
by = "day"
grain = "week"
note = "By week: an hour is little time, and a day with a minute of work tells nothing."

[columns]
day = "date"
project = "project"
cost_usd = "usd"
active_hours = "hours"

[[measures]]
label = "Spend per active hour"
of = "cost_usd"
per = "active_hours"
unit = "usd"
*/
with parts as (
    select
        date_key as day,
        project_id as project,
        coalesce(cost_usd, 0) as cost_usd,
        0.0 as active_hours
    from marts.agg_daily_cost

    union all

    select
        date_key,
        project_id,
        0.0,
        active_seconds / 3600.0
    from marts.fct_active_hours
)

select
    day,
    project,
    sum(cost_usd) as cost_usd,
    sum(active_hours) as active_hours
from parts
group by day, project
