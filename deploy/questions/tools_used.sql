/*
title = "Tools used, and how the calls ended"
answers = "Which tools does Claude Code use most, and do they succeed?"
dashboard = "AI Interaction Patterns"
position = 20
display = "bars"
by = "tool"
note = "A rejection is a person's decision: neither success nor failure."

[columns]
day = "date"
project = "project"
tool = "text"
succeeded = "count"
failed = "count"
rejected = "count"
unanswered = "count"
finished = "count"
calls = "count"

[[measures]]
label = "Succeeded"
tone = "good"
of = "succeeded"

[[measures]]
label = "Failed"
tone = "bad"
of = "failed"

[[measures]]
label = "Rejected"
tone = "caution"
of = "rejected"

[[measures]]
label = "No answer"
tone = "muted"
of = "unanswered"

[[measures]]
label = "Success rate"
of = "succeeded"
per = "finished"
unit = "share"
is_charted = false

[[measures]]
label = "Rejection rate"
tone = "caution"
of = "rejected"
per = "calls"
unit = "share"
is_charted = false
*/
select
    date_key as day,
    project_id as project,
    tool_name as tool,
    sum(case when status = 'success' then 1 else 0 end) as succeeded,
    sum(case when status = 'error' then 1 else 0 end) as failed,
    sum(case when status = 'rejected' then 1 else 0 end) as rejected,
    sum(case when status = 'no_result' then 1 else 0 end) as unanswered,
    sum(case when status in ('success', 'error') then 1 else 0 end) as finished,
    count(*) as calls
from marts.fct_tool_calls
group by date_key, project_id, tool_name
