/*
title = "How long the steps take"
answers = "Which step takes the time of a run?"
dashboard = "Pipeline Health"
position = 60
display = "bars"
by = "step"
order = ["extract", "load", "transform", "validate", "publish", "maintain"]
is_stacked = false
note = "Steps that ended well, with the pauses between tries. Right to about 6 %."

[columns]
day = "date"
step = "text"
duration_ms = "milliseconds"
steps = "count"

[[measures]]
label = "95 of 100 within"
of = "duration_ms"
quantile = 0.95
weight = "steps"

[[measures]]
label = "Half of them within"
of = "duration_ms"
quantile = 0.5
weight = "steps"

[[measures]]
label = "Steps"
of = "steps"
is_charted = false
*/
with ended as (
    select
        cast(timezone('UTC', started_at) as date) as day,
        step,
        -- Twenty steps for each power of ten, in their middle: years of runs stay small.
        cast(
            round(
                power(
                    10,
                    (floor(log10(greatest(epoch_ms(ended_at) - epoch_ms(started_at), 1)) * 20) + 0.5) / 20
                )
            ) as bigint
        ) as duration_ms
    from ops.runs
    where step <> 'pipeline' and outcome = 'succeeded'
)

select
    day,
    step,
    duration_ms,
    count(*) as steps
from ended
group by day, step, duration_ms
