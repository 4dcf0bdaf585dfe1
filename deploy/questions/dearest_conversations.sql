/*
title = "Dearest conversations"
answers = "Which conversations cost most?"
dashboard = "Spend"
position = 100
display = "table"
by = "conversation"
series = "project"
top = 10
note = "Among the 300 dearest of all time, on the day each began."

[columns]
day = "date"
project = "project"
conversation = "text"
cost_usd = "usd"
prompts = "count"
active_hours = "hours"
lines_changed = "lines"

[[measures]]
label = "Spend"
of = "cost_usd"

[[measures]]
label = "Prompts"
of = "prompts"

[[measures]]
label = "Time active"
of = "active_hours"

[[measures]]
label = "Lines changed"
of = "lines_changed"
*/
with ranked as (
    select
        date_key,
        project_id,
        coalesce(title, 'untitled ' || left(session_id, 8)) as conversation,
        coalesce(cost_usd, 0) as cost_usd,
        prompt_count,
        active_seconds,
        lines_added + lines_removed as lines_changed,
        row_number() over (order by coalesce(cost_usd, 0) desc, session_id) as place
    from marts.dim_sessions
)

select
    date_key as day,
    project_id as project,
    conversation,
    cost_usd,
    prompt_count as prompts,
    active_seconds / 3600.0 as active_hours,
    lines_changed
from ranked
where place <= 300
