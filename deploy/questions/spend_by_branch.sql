/*
title = "Spend by branch"
answers = "What did each branch cost?"
dashboard = "Project Insights"
position = 50
display = "table"
by = "branch"
series = "project"
top = 10
note = "Among the 200 dearest branches of all time."

[columns]
day = "date"
project = "project"
branch = "text"
cost_usd = "usd"
calls = "count"
tokens = "tokens"

[[measures]]
label = "Spend"
of = "cost_usd"

[[measures]]
label = "Calls"
of = "calls"

[[measures]]
label = "Tokens"
of = "tokens"
*/
with calls as (
    select
        date_key,
        project_id,
        coalesce(git_branch, 'unknown') as branch,
        coalesce(cost_usd, 0) as cost_usd,
        total_tokens
    from marts.fct_api_calls
),

ranked as (
    select
        project_id,
        branch,
        row_number() over (order by sum(cost_usd) desc, project_id, branch) as place
    from calls
    group by project_id, branch
)

select
    calls.date_key as day,
    calls.project_id as project,
    calls.branch,
    sum(calls.cost_usd) as cost_usd,
    count(*) as calls,
    sum(calls.total_tokens) as tokens
from calls
inner join ranked on calls.project_id = ranked.project_id and calls.branch = ranked.branch
where ranked.place <= 200
group by calls.date_key, calls.project_id, calls.branch
