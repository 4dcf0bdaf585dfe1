/*
title = "Hours of the week"
answers = "When do we work with Claude Code?"
dashboard = "Developer Productivity"
position = 20
display = "heatmap"
by = "hour"
series = "weekday"
note = "Hours in the reporting time zone. Pauses of more than five minutes are left out."

[columns]
day = "date"
project = "project"
weekday = "weekday"
hour = "hour"
active_hours = "hours"

[[measures]]
label = "Time active"
of = "active_hours"
*/
select
    date_key as day,
    project_id as project,
    day_of_week as weekday,
    hour_of_day as hour,
    sum(active_seconds) / 3600.0 as active_hours
from marts.fct_active_hours
group by date_key, project_id, day_of_week, hour_of_day
