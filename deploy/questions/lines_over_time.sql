/*
title = "Lines changed over time"
answers = "How much code does Claude Code write and remove?"
dashboard = "Developer Productivity"
position = 60
display = "columns"
by = "day"
note = "By tools that write files; commands run in a shell are not seen."

[columns]
day = "date"
project = "project"
lines_added = "lines"
lines_removed = "lines"

[[measures]]
label = "Added"
of = "lines_added"

[[measures]]
label = "Removed"
of = "lines_removed"
*/
select
    date_key as day,
    project_id as project,
    sum(lines_added) as lines_added,
    sum(lines_removed) as lines_removed
from marts.agg_code_changes
group by date_key, project_id
