/*
title = "Time active by project"
answers = "Where does our time go?"
dashboard = "Project Insights"
position = 20
display = "columns"
by = "day"
series = "project"

[columns]
day = "date"
project = "project"
active_hours = "hours"

[[measures]]
label = "Time active"
of = "active_hours"
*/
select
    date_key as day,
    project_id as project,
    sum(active_seconds) / 3600.0 as active_hours
from marts.fct_active_hours
group by date_key, project_id
