/*
title = "Our figures and Claude Code's own"
answers = "Do our figures agree with Claude Code's own?"
dashboard = "Spend"
position = 105
display = "table"
by = "model"
series = "agreement"
may_be_empty = true
note = "For conversations in which Claude Code wrote its running cost. What is only reported are calls that it makes without writing them to the log, such as for titles."

[columns]
day = "date"
project = "project"
model = "text"
agreement = "text"
reported_usd = "usd"
cost_usd = "usd"
difference_usd = "usd"
conversations = "count"

[[measures]]
label = "Claude Code"
of = "reported_usd"

[[measures]]
label = "Ours"
of = "cost_usd"

[[measures]]
label = "Difference"
of = "difference_usd"

[[measures]]
label = "Relative difference"
of = "difference_usd"
per = "reported_usd"
unit = "share"

[[measures]]
label = "Conversations"
of = "conversations"
*/
select
    date_key as day,
    project_id as project,
    model_family as model,
    case agreement
        when 'agrees' then 'agrees'
        when 'differs' then 'differs'
        when 'only_reported' then 'only reported'
        else 'only in the log'
    end as agreement,
    sum(reported_cost_usd) as reported_usd,
    sum(coalesce(cost_usd, 0)) as cost_usd,
    sum(difference_usd) as difference_usd,
    count(*) as conversations
from marts.agg_cost_agreement
group by date_key, project_id, model_family, agreement
