/*
title = "How long tools take"
answers = "Which tools keep us waiting?"
dashboard = "AI Interaction Patterns"
position = 30
display = "bars"
by = "tool"
is_stacked = false
note = "From call to answer, with the time a permission was waited for; tools that ask a person are left out. Right to about 6 %."

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
        -- Twenty steps for each power of ten, in their middle: a year of calls stays small.
        cast(round(power(10, (floor(log10(execution_time_ms) * 20) + 0.5) / 20)) as bigint) as duration_ms
    from marts.fct_tool_calls
    where execution_time_ms > 0 and not waits_for_human
)

select
    date_key as day,
    project_id as project,
    tool_name as tool,
    duration_ms,
    count(*) as calls
from calls
group by date_key, project_id, tool_name, duration_ms
