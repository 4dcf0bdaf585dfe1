/*
title = "Tokens by kind"
answers = "What are the tokens: fresh input, output, or cache?"
dashboard = "Spend"
position = 50
display = "columns"
by = "day"

[columns]
day = "date"
project = "project"
cache_read = "tokens"
cache_write = "tokens"
input = "tokens"
output = "tokens"

[[measures]]
label = "Read from cache"
of = "cache_read"

[[measures]]
label = "Written to cache"
of = "cache_write"

[[measures]]
label = "Input"
of = "input"

[[measures]]
label = "Output"
of = "output"
*/
select
    date_key as day,
    project_id as project,
    sum(cache_read_tokens) as cache_read,
    sum(cache_write_5m_tokens + cache_write_1h_tokens) as cache_write,
    sum(input_tokens) as input,
    sum(output_tokens) as output
from marts.agg_daily_cost
group by date_key, project_id
