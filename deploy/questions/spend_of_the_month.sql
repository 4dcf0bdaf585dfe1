/*
title = "The month, and where it is heading"
answers = "What will this month cost if we go on like this?"
dashboard = "Spend"
position = 20
display = "columns"
by = "day"
grain = "month"
series = "part"
note = "Expected: the mean day of the last two weeks, for each day left of the month of the newest data."

[columns]
day = "date"
project = "project"
part = "text"
cost_usd = "usd"

[[measures]]
label = "Spend"
of = "cost_usd"
*/
with spending as (
    select
        date_key,
        project_id,
        coalesce(sum(cost_usd), 0) as cost_usd
    from marts.agg_daily_cost
    where api_calls > 0
    group by date_key, project_id
),

newest as (
    select
        max(date_key) as day,
        -- A younger collection has fewer days to take the mean of.
        least(14, max(date_key) - min(date_key) + 1) as days,
        (cast(date_trunc('month', max(date_key)) + interval '1' month as date) - max(date_key)) - 1 as days_left
    from marts.dim_date
    -- A wrong clock's days are none that a month can be expected from.
    where date_key between date '2020-01-01' and date '2099-12-31'
)

select
    date_key as day,
    project_id as project,
    'spent' as part,
    cost_usd
from spending

union all

select
    newest.day,
    spending.project_id,
    'expected' as part,
    sum(spending.cost_usd) / newest.days * newest.days_left as cost_usd
from spending
cross join newest
where spending.date_key > newest.day - 14 and newest.days_left > 0
group by newest.day, newest.days, newest.days_left, spending.project_id
