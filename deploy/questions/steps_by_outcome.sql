/*
title = "Steps of the cycle, and how they ended"
answers = "Does every step of the cycle do its work?"
dashboard = "Pipeline Health"
position = 50
display = "bars"
by = "step"
order = ["extract", "load", "transform", "validate", "publish", "maintain"]
note = "Stopped: somebody ended the run. Killed: the process was gone without a word."

[columns]
day = "date"
step = "text"
succeeded = "count"
failed = "count"
killed = "count"
stopped = "count"
retried = "count"
ended = "count"

[[measures]]
label = "Succeeded"
tone = "good"
of = "succeeded"

[[measures]]
label = "Failed"
tone = "bad"
of = "failed"

[[measures]]
label = "Killed"
tone = "caution"
of = "killed"

[[measures]]
label = "Stopped"
tone = "muted"
of = "stopped"

[[measures]]
label = "Success rate"
of = "succeeded"
per = "ended"
unit = "share"
is_charted = false

[[measures]]
label = "Needed a retry"
of = "retried"
is_charted = false
*/
select
    cast(timezone('UTC', started_at) as date) as day,
    step,
    sum(case when outcome = 'succeeded' then 1 else 0 end) as succeeded,
    sum(case when outcome = 'failed' then 1 else 0 end) as failed,
    sum(case when outcome = 'killed' then 1 else 0 end) as killed,
    sum(case when outcome = 'stopped' then 1 else 0 end) as stopped,
    sum(case when attempts > 1 then 1 else 0 end) as retried,
    count(*) as ended
from ops.runs
where step <> 'pipeline' and outcome not in ('running', 'skipped')
group by cast(timezone('UTC', started_at) as date), step
