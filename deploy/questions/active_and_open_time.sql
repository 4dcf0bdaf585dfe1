/*
title = "Active and open time"
answers = "How much of the time that conversations are open does somebody work in them?"
dashboard = "Developer Productivity"
position = 30
display = "line"
by = "day"
note = "By the day a conversation began. Open: from its first line to its last, so conversations side by side both count."

[columns]
day = "date"
project = "project"
active_hours = "hours"
open_hours = "hours"

[[measures]]
label = "Active"
of = "active_hours"

[[measures]]
label = "Open"
of = "open_hours"

[[measures]]
label = "Active share"
of = "active_hours"
per = "open_hours"
unit = "share"
is_charted = false
*/
select
    date_key as day,
    project_id as project,
    sum(active_seconds) / 3600.0 as active_hours,
    sum(duration_seconds) / 3600.0 as open_hours
from marts.dim_sessions
group by date_key, project_id
