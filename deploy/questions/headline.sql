/*
title = "At a glance"
answers = "What did we spend, how long did we work, and what came of it?"
dashboard = "Overview"
position = 10
display = "numbers"
by = "day"
note = "At list prices; calls without a price are missing in the spend. Time active leaves out pauses of more than five minutes."

[columns]
day = "date"
project = "project"
cost_usd = "usd"
tokens = "tokens"
active_hours = "hours"
conversations = "count"
prompts = "count"
lines_changed = "lines"
unpriced_calls = "count"
unpriced_tokens = "tokens"

[[measures]]
label = "Spend"
of = "cost_usd"

[[measures]]
label = "Tokens"
of = "tokens"

[[measures]]
label = "Time active"
of = "active_hours"

[[measures]]
label = "Conversations"
of = "conversations"

[[measures]]
label = "Prompts"
of = "prompts"

[[measures]]
label = "Lines changed"
of = "lines_changed"

[[measures]]
label = "Calls without a price"
of = "unpriced_calls"
tone = "caution"

[[measures]]
label = "Tokens without a price"
of = "unpriced_tokens"
tone = "caution"
*/
with parts as (
    select
        date_key as day,
        project_id as project,
        cost_usd,
        total_tokens as tokens,
        0.0 as active_hours,
        0 as conversations,
        0 as prompts,
        0 as lines_changed,
        unpriced_calls,
        unpriced_tokens
    from marts.agg_daily_cost

    union all

    select
        date_key,
        project_id,
        0.0,
        0,
        active_seconds / 3600.0,
        0,
        0,
        0,
        0,
        0
    from marts.fct_active_hours

    union all

    select
        date_key,
        project_id,
        0.0,
        0,
        0.0,
        1,
        0,
        0,
        0,
        0
    from marts.dim_sessions

    union all

    select
        date_key,
        project_id,
        0.0,
        0,
        0.0,
        0,
        1,
        0,
        0,
        0
    from marts.fct_messages
    where user_kind = 'prompt'

    union all

    select
        date_key,
        project_id,
        0.0,
        0,
        0.0,
        0,
        0,
        lines_added + lines_removed,
        0,
        0
    from marts.agg_code_changes
)

select
    day,
    project,
    coalesce(sum(cost_usd), 0) as cost_usd,
    sum(tokens) as tokens,
    sum(active_hours) as active_hours,
    sum(conversations) as conversations,
    sum(prompts) as prompts,
    sum(lines_changed) as lines_changed,
    sum(unpriced_calls) as unpriced_calls,
    sum(unpriced_tokens) as unpriced_tokens
from parts
group by day, project
