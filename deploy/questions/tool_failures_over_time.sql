/*
title = "Failures and rejections over time"
answers = "Do tools fail, and do we reject, more or less than before?"
dashboard = "AI Interaction Patterns"
position = 10
display = "line"
by = "day"

[columns]
day = "date"
project = "project"
failed = "count"
finished = "count"
rejected = "count"
calls = "count"

[[measures]]
label = "Failure rate"
tone = "bad"
of = "failed"
per = "finished"
unit = "share"

[[measures]]
label = "Rejection rate"
tone = "caution"
of = "rejected"
per = "calls"
unit = "share"
*/
select
    date_key as day,
    project_id as project,
    sum(case when status = 'error' then 1 else 0 end) as failed,
    sum(case when status in ('success', 'error') then 1 else 0 end) as finished,
    sum(case when status = 'rejected' then 1 else 0 end) as rejected,
    count(*) as calls
from marts.fct_tool_calls
group by date_key, project_id
