/*
title = "Interruptions and compactions"
answers = "How often do we stop Claude Code, and how often does a conversation outgrow its context?"
dashboard = "AI Interaction Patterns"
position = 80
display = "columns"
by = "day"
note = "By the day a conversation began."

[columns]
day = "date"
project = "project"
interruptions = "count"
compactions = "count"
conversations = "count"

[[measures]]
label = "Interruptions"
of = "interruptions"

[[measures]]
label = "Compactions"
of = "compactions"

[[measures]]
label = "Interruptions per conversation"
of = "interruptions"
per = "conversations"
unit = "number"
is_charted = false
*/
select
    date_key as day,
    project_id as project,
    sum(interruption_count) as interruptions,
    sum(compaction_count) as compactions,
    count(*) as conversations
from marts.dim_sessions
group by date_key, project_id
