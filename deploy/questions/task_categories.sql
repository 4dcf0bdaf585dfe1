/*
title = "What we ask for"
answers = "Which kinds of tasks do we give to Claude Code?"
dashboard = "Developer Productivity"
position = 50
display = "bars"
by = "task"
note = "Guessed from the words of each prompt."

[columns]
day = "date"
project = "project"
task = "text"
prompts = "count"

[[measures]]
label = "Prompts"
of = "prompts"
*/
select
    date_key as day,
    project_id as project,
    replace(coalesce(task_category, 'other'), '_', ' ') as task,
    count(*) as prompts
from marts.fct_messages
where user_kind = 'prompt'
group by date_key, project_id, replace(coalesce(task_category, 'other'), '_', ' ')
