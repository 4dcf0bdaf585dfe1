/*
title = "The build these dashboards show"
answers = "How far into the source do the figures reach?"
dashboard = "Pipeline Health"
position = 90
display = "table"
by = "build"
may_be_empty = true
note = "How old the newest change in it was when it was made. While nothing changes in MongoDB, that grows."

[columns]
day = "date"
build = "text"
newest_change_hours = "hours"
micro_batches = "count"

[[measures]]
label = "Newest change"
of = "newest_change_hours"

[[measures]]
label = "Micro-batches in it"
of = "micro_batches"
*/
select
    cast(timezone('UTC', created_at) as date) as day,
    strftime(timezone('UTC', created_at), '%Y-%m-%d %H:%M UTC') as build,
    greatest(coalesce(epoch_ms(created_at) - epoch_ms(source_at), 0), 0) / 3600000.0 as newest_change_hours,
    micro_batches
from ops.published_build
