/*
title = "Skills"
answers = "Which skills are used?"
dashboard = "AI Interaction Patterns"
position = 60
display = "bars"
by = "skill"

[columns]
day = "date"
project = "project"
skill = "text"
calls = "count"

[[measures]]
label = "Times used"
of = "calls"
*/
select
    date_key as day,
    project_id as project,
    called_skill as skill,
    count(*) as calls
from marts.fct_tool_calls
where called_skill is not null
group by date_key, project_id, called_skill
