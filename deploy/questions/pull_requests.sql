/*
title = "Pull requests"
answers = "What did each pull request cost, and how large is it?"
dashboard = "Project Insights"
position = 60
display = "table"
by = "pull_requests"
series = "project"
top = 10
note = "Everything spent on a pull request's branch, placed on the branch's last day."

[columns]
day = "date"
project = "project"
pull_requests = "text"
cost_usd = "usd"
lines_added = "lines"
lines_removed = "lines"
conversations = "count"

[[measures]]
label = "Spend"
of = "cost_usd"

[[measures]]
label = "Lines added"
of = "lines_added"

[[measures]]
label = "Lines removed"
of = "lines_removed"

[[measures]]
label = "Conversations"
of = "conversations"
*/
select
    last_date_key as day,
    project_id as project,
    pull_request_urls as pull_requests,
    coalesce(cost_usd, 0) as cost_usd,
    lines_added,
    lines_removed,
    sessions as conversations
from marts.agg_branch_cost
where pull_requests > 0 and last_date_key is not null
