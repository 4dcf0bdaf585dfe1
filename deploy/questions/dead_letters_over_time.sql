/*
title = "Rejected documents"
answers = "Are documents being rejected?"
dashboard = "Pipeline Health"
position = 40
display = "columns"
by = "day"
may_be_empty = true
note = "They are kept whole as dead letters; see why, and try them again, with the command dead-letters."

[columns]
day = "date"
dead_letters = "count"

[[measures]]
label = "Dead letters"
of = "dead_letters"
tone = "bad"
*/
select
    day,
    sum(dead_letters) as dead_letters
from ops.deliveries
group by day
having sum(dead_letters) > 0
