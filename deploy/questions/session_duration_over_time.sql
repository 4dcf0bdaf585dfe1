/*
title = "Session duration over time"
answers = "How long is a conversation, and does that change?"
dashboard = "Developer Productivity"
position = 32
display = "line"
by = "day"
grain = "week"
note = "By the day a conversation began. Open: from its first line to its last. Half of them were open no longer than the median, which one that stays open for days does not move. Right to about 6 %."

[columns]
day = "date"
project = "project"
open_hours = "hours"
total_open_hours = "hours"
active_hours = "hours"
conversations = "count"

[[measures]]
label = "Half open no longer than"
of = "open_hours"
quantile = 0.5
weight = "conversations"

[[measures]]
label = "Active on average"
of = "active_hours"
per = "conversations"
unit = "hours"

[[measures]]
label = "Open on average"
of = "total_open_hours"
per = "conversations"
unit = "hours"
is_charted = false
*/
with sized as (
    select
        date_key,
        project_id,
        -- Twenty steps for each power of ten, in their middle: a year of conversations stays small.
        case
            when duration_seconds >= 1 then power(10, (floor(log10(duration_seconds) * 20) + 0.5) / 20) / 3600
            else 0
        end as open_hours,
        duration_seconds,
        active_seconds
    from marts.dim_sessions
    where duration_seconds is not null
)

select
    date_key as day,
    project_id as project,
    open_hours,
    sum(duration_seconds) / 3600.0 as total_open_hours,
    sum(active_seconds) / 3600.0 as active_hours,
    count(*) as conversations
from sized
group by date_key, project_id, open_hours
