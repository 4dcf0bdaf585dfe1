/*
title = "Checks that did not hold"
answers = "Is the data as it should be, layer by layer?"
dashboard = "Pipeline Health"
position = 70
display = "columns"
by = "day"
series = "layer"
may_be_empty = true
note = "Bronze is what was loaded, silver what was cleaned, gold the marts. Warnings count, too; a critical rule that does not hold keeps the build from being published."

[columns]
day = "date"
layer = "text"
broken_rules = "count"

[[measures]]
label = "Rules that did not hold"
of = "broken_rules"
tone = "bad"
*/
select
    cast(timezone('UTC', checked_at) as date) as day,
    layer,
    sum(failed) as broken_rules
from ops.checks
group by cast(timezone('UTC', checked_at) as date), layer
having sum(failed) > 0
