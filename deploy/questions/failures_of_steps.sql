/*
title = "What went wrong"
answers = "Why did steps fail?"
dashboard = "Pipeline Health"
position = 80
display = "table"
by = "problem"
series = "step"
top = 8
may_be_empty = true

[columns]
day = "date"
problem = "text"
step = "text"
times = "count"

[[measures]]
label = "Times"
of = "times"
*/
select
    cast(timezone('UTC', started_at) as date) as day,
    case when error = '' then 'no reason is known' else error end as problem,
    step,
    count(*) as times
from ops.runs
where step <> 'pipeline' and outcome in ('failed', 'killed')
group by
    cast(timezone('UTC', started_at) as date),
    case when error = '' then 'no reason is known' else error end,
    step
