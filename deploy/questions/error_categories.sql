/*
title = "Why tools fail"
answers = "What goes wrong most often?"
dashboard = "AI Interaction Patterns"
position = 40
display = "bars"
by = "reason"

[columns]
day = "date"
project = "project"
reason = "text"
failures = "count"

[[measures]]
label = "Failures"
tone = "bad"
of = "failures"
*/
select
    date_key as day,
    project_id as project,
    replace(coalesce(error_category, 'other'), '_', ' ') as reason,
    count(*) as failures
from marts.fct_tool_calls
where status = 'error'
group by date_key, project_id, replace(coalesce(error_category, 'other'), '_', ' ')
