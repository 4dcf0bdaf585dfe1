/*
title = "Most changed files"
answers = "Which files does Claude Code change most?"
dashboard = "Project Insights"
position = 40
display = "table"
by = "file"
series = "project"
top = 10
note = "Among the 200 files with the most changed lines of all time."

[columns]
day = "date"
project = "project"
file = "path"
changes = "count"
lines_added = "lines"
lines_removed = "lines"

[[measures]]
label = "Changes"
of = "changes"

[[measures]]
label = "Lines added"
of = "lines_added"

[[measures]]
label = "Lines removed"
of = "lines_removed"
*/
with changes as (
    select
        date_key,
        project_id,
        file_path,
        lines_added,
        lines_removed
    from marts.fct_file_operations
    where operation_type <> 'read' and status = 'success' and file_path is not null
),

ranked as (
    select
        project_id,
        file_path,
        row_number() over (
            order by sum(lines_added + lines_removed) desc, count(*) desc, project_id, file_path
        ) as place
    from changes
    group by project_id, file_path
)

select
    changes.date_key as day,
    changes.project_id as project,
    -- Within the project, where it lies there.
    replace(changes.file_path, changes.project_id || '/', '') as file,
    count(*) as changes,
    sum(changes.lines_added) as lines_added,
    sum(changes.lines_removed) as lines_removed
from changes
inner join ranked on changes.project_id = ranked.project_id and changes.file_path = ranked.file_path
where ranked.place <= 200
group by changes.date_key, changes.project_id, replace(changes.file_path, changes.project_id || '/', '')
