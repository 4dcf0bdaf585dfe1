/*
title = "Messages per session"
answers = "How many messages does a conversation have, and does that change?"
dashboard = "Developer Productivity"
position = 45
display = "line"
by = "day"
grain = "week"
note = "By the day a conversation began. Messages are all lines of people, Claude and tools; a prompt is what a person typed."

[columns]
day = "date"
project = "project"
messages = "count"
assistant_messages = "count"
prompts = "count"
conversations = "count"

[[measures]]
label = "Messages per conversation"
of = "messages"
per = "conversations"
unit = "number"

[[measures]]
label = "Of Claude"
of = "assistant_messages"
per = "conversations"
unit = "number"

[[measures]]
label = "Prompts"
of = "prompts"
per = "conversations"
unit = "number"

[[measures]]
label = "Conversations"
of = "conversations"
is_charted = false
*/
select
    date_key as day,
    project_id as project,
    sum(message_count) as messages,
    sum(assistant_message_count) as assistant_messages,
    sum(prompt_count) as prompts,
    count(*) as conversations
from marts.dim_sessions
group by date_key, project_id
