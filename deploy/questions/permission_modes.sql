/*
title = "Permission modes"
answers = "How much freedom do we give?"
dashboard = "AI Interaction Patterns"
position = 90
display = "bars"
by = "mode"
note = "Prompts by the mode they were sent in; older versions of Claude Code do not say."

[columns]
day = "date"
project = "project"
mode = "text"
prompts = "count"

[[measures]]
label = "Prompts"
of = "prompts"
*/
select
    date_key as day,
    project_id as project,
    coalesce(permission_mode, 'not said') as mode,
    count(*) as prompts
from marts.fct_messages
where user_kind = 'prompt'
group by date_key, project_id, coalesce(permission_mode, 'not said')
