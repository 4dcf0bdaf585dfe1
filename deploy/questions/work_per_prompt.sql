/*
title = "Work done per prompt"
answers = "How far does one prompt carry?"
dashboard = "Developer Productivity"
position = 70
display = "line"
by = "day"
note = "Tool calls of the conversations begun on a day, over the turns in them."

[columns]
day = "date"
project = "project"
tool_calls = "count"
turns = "count"

[[measures]]
label = "Tool calls per turn"
of = "tool_calls"
per = "turns"
unit = "number"
*/
select
    date_key as day,
    project_id as project,
    sum(tool_call_count) as tool_calls,
    sum(turn_count) as turns
from marts.dim_sessions
group by date_key, project_id
