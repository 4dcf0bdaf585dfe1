/*
title = "How long tools take"
answers = "Which tools keep us waiting?"
dashboard = "AI Interaction Patterns"
position = 30
display = "bars"
by = "tool"
is_stacked = false
note = "From call to answer, with the time a permission was waited for; tools that ask a person are left out. To two digits."

[columns]
day = "date"
project = "project"
tool = "text"
duration_ms = "milliseconds"
calls = "count"

[[measures]]
label = "95 of 100 calls within"
of = "duration_ms"
quantile = 0.95
weight = "calls"

[[measures]]
label = "Half of the calls within"
of = "duration_ms"
quantile = 0.5
weight = "calls"

[[measures]]
label = "Calls"
of = "calls"
is_charted = false
*/
with calls as (
    select
        date_key,
        project_id,
        tool_name,
        -- Two digits keep a year of calls small.
        case
            when execution_time_ms < 100 then execution_time_ms
            when execution_time_ms < 1000 then execution_time_ms - execution_time_ms % 10
            when execution_time_ms < 10000 then execution_time_ms - execution_time_ms % 100
            when execution_time_ms < 100000 then execution_time_ms - execution_time_ms % 1000
            else execution_time_ms - execution_time_ms % 10000
        end as duration_ms
    from marts.fct_tool_calls
    where execution_time_ms is not null and not waits_for_human
)

select
    date_key as day,
    project_id as project,
    tool_name as tool,
    duration_ms,
    count(*) as calls
from calls
group by date_key, project_id, tool_name, duration_ms
