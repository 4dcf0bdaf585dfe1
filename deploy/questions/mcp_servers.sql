/*
title = "MCP servers"
answers = "Which MCP servers are called, and do they answer?"
dashboard = "AI Interaction Patterns"
position = 70
display = "bars"
by = "server"

[columns]
day = "date"
project = "project"
server = "text"
succeeded = "count"
failed = "count"
others = "count"

[[measures]]
label = "Succeeded"
tone = "good"
of = "succeeded"

[[measures]]
label = "Failed"
tone = "bad"
of = "failed"

[[measures]]
label = "Rejected or no answer"
tone = "muted"
of = "others"
*/
select
    date_key as day,
    project_id as project,
    mcp_server as server,
    sum(case when status = 'success' then 1 else 0 end) as succeeded,
    sum(case when status = 'error' then 1 else 0 end) as failed,
    sum(case when status not in ('success', 'error') then 1 else 0 end) as others
from marts.fct_tool_calls
where mcp_server is not null
group by date_key, project_id, mcp_server
