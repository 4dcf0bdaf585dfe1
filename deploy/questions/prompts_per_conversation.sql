/*
title = "Prompts per conversation"
answers = "How long are our conversations?"
dashboard = "Developer Productivity"
position = 40
display = "bars"
by = "prompts"
order = ["0", "1", "2", "3", "4 to 6", "7 to 10", "11 to 20", "21 to 50", "over 50"]

[columns]
day = "date"
project = "project"
prompts = "text"
conversations = "count"
cost_usd = "usd"

[[measures]]
label = "Conversations"
of = "conversations"

[[measures]]
label = "Spend per conversation"
of = "cost_usd"
per = "conversations"
unit = "usd"
is_charted = false
*/
with sized as (
    select
        date_key,
        project_id,
        case
            when prompt_count = 0 then '0'
            when prompt_count = 1 then '1'
            when prompt_count = 2 then '2'
            when prompt_count = 3 then '3'
            when prompt_count <= 6 then '4 to 6'
            when prompt_count <= 10 then '7 to 10'
            when prompt_count <= 20 then '11 to 20'
            when prompt_count <= 50 then '21 to 50'
            else 'over 50'
        end as prompts,
        cost_usd
    from marts.dim_sessions
)

select
    date_key as day,
    project_id as project,
    prompts,
    count(*) as conversations,
    coalesce(sum(cost_usd), 0) as cost_usd
from sized
group by date_key, project_id, prompts
