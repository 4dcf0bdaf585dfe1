/*
title = "Subagents"
answers = "Which subagents are sent, and how often?"
dashboard = "AI Interaction Patterns"
position = 50
display = "bars"
by = "subagent"

[columns]
day = "date"
project = "project"
subagent = "text"
calls = "count"

[[measures]]
label = "Times sent"
of = "calls"
*/
select
    date_key as day,
    project_id as project,
    called_agent_type as subagent,
    count(*) as calls
from marts.fct_tool_calls
where called_agent_type is not null
group by date_key, project_id, called_agent_type
