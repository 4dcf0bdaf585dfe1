/*
title = "Languages"
answers = "In which languages is code written and removed?"
dashboard = "Project Insights"
position = 30
display = "bars"
by = "language"

[columns]
day = "date"
project = "project"
language = "text"
lines_added = "lines"
lines_removed = "lines"
files_created = "count"

[[measures]]
label = "Lines added"
of = "lines_added"

[[measures]]
label = "Lines removed"
of = "lines_removed"

[[measures]]
label = "Files created"
of = "files_created"
is_charted = false
*/
select
    date_key as day,
    project_id as project,
    language,
    sum(lines_added) as lines_added,
    sum(lines_removed) as lines_removed,
    sum(files_created) as files_created
from marts.agg_code_changes
group by date_key, project_id, language
