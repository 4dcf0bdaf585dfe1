/*
title = "Projects compared"
answers = "What does each project take, and what comes of it?"
dashboard = "Project Insights"
position = 10
display = "table"
by = "project"

[columns]
day = "date"
project = "project"
conversations = "count"
active_hours = "hours"
cost_usd = "usd"
lines_added = "lines"
lines_removed = "lines"

[[measures]]
label = "Spend"
of = "cost_usd"

[[measures]]
label = "Conversations"
of = "conversations"

[[measures]]
label = "Time active"
of = "active_hours"

[[measures]]
label = "Lines added"
of = "lines_added"

[[measures]]
label = "Lines removed"
of = "lines_removed"

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
        1 as conversations,
        0.0 as active_hours,
        0.0 as cost_usd,
        0 as lines_added,
        0 as lines_removed
    from marts.dim_sessions

    union all

    select
        date_key,
        project_id,
        0,
        active_seconds / 3600.0,
        0.0,
        0,
        0
    from marts.fct_active_hours

    union all

    select
        date_key,
        project_id,
        0,
        0.0,
        cost_usd,
        0,
        0
    from marts.agg_daily_cost

    union all

    select
        date_key,
        project_id,
        0,
        0.0,
        0.0,
        lines_added,
        lines_removed
    from marts.agg_code_changes
)

select
    day,
    project,
    sum(conversations) as conversations,
    sum(active_hours) as active_hours,
    coalesce(sum(cost_usd), 0) as cost_usd,
    sum(lines_added) as lines_added,
    sum(lines_removed) as lines_removed
from parts
group by day, project
