/*
title = "Cache hits"
answers = "How much of what Claude Code reads comes from the cache?"
dashboard = "Spend"
position = 60
display = "line"
by = "day"

[columns]
day = "date"
project = "project"
cache_read = "tokens"
read = "tokens"

[[measures]]
label = "From the cache"
of = "cache_read"
per = "read"
unit = "share"
*/
select
    date_key as day,
    project_id as project,
    sum(cache_read_tokens) as cache_read,
    sum(input_tokens + cache_write_5m_tokens + cache_write_1h_tokens + cache_read_tokens) as read
from marts.agg_daily_cost
group by date_key, project_id
