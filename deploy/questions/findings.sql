/*
title = "What the last checks found"
answers = "Which input is odd, and where does it lie?"
dashboard = "Pipeline Health"
position = 75
display = "table"
by = "check"
series = "example"
may_be_empty = true
note = "Of the last run. Warnings block nothing: the lines they name count as far as they can be read."

[columns]
day = "date"
check = "text"
example = "text"
findings = "count"

[[measures]]
label = "Findings"
of = "findings"
tone = "caution"
*/
select
    cast(timezone('UTC', checked_at) as date) as day,
    rule as "check",
    example,
    count(*) as findings
from ops.findings
where run_id = (select max(run_id) from ops.checks)
group by cast(timezone('UTC', checked_at) as date), rule, example
