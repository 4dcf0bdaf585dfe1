/*
title = "The platform at a glance"
answers = "Does the pipeline run, and does everything arrive?"
dashboard = "Pipeline Health"
position = 10
display = "numbers"
by = "day"
note = "All days, whatever is chosen above, as of the published build; what runs now is told by the status command and in Grafana. Days are those of UTC."

[columns]
day = "date"
upserts = "count"
deletes = "count"
dead_letters = "count"
steps = "count"
failed_steps = "count"
broken_rules = "count"

[[measures]]
label = "Documents"
of = "upserts"

[[measures]]
label = "Deletes"
of = "deletes"

[[measures]]
label = "Dead letters"
of = "dead_letters"

[[measures]]
label = "Steps run"
of = "steps"

[[measures]]
label = "Failed steps"
of = "failed_steps"

[[measures]]
label = "Broken checks"
of = "broken_rules"
*/
with parts as (
    select
        day,
        upserts,
        deletes,
        dead_letters,
        0 as steps,
        0 as failed_steps,
        0 as broken_rules
    from ops.deliveries

    union all

    select
        cast(timezone('UTC', started_at) as date),
        0,
        0,
        0,
        1,
        case when outcome in ('failed', 'killed') then 1 else 0 end,
        0
    from ops.runs
    where step <> 'pipeline' and outcome not in ('running', 'skipped')

    union all

    select
        cast(timezone('UTC', checked_at) as date),
        0,
        0,
        0,
        0,
        0,
        failed
    from ops.checks
)

select
    day,
    sum(upserts) as upserts,
    sum(deletes) as deletes,
    sum(dead_letters) as dead_letters,
    sum(steps) as steps,
    sum(failed_steps) as failed_steps,
    sum(broken_rules) as broken_rules
from parts
group by day
