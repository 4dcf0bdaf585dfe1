/*
title = "Conversations over time"
answers = "How many conversations do we start, and where?"
dashboard = "Developer Productivity"
position = 10
display = "columns"
by = "day"
series = "project"
note = "A conversation counts on the day it began."

[columns]
day = "date"
project = "project"
conversations = "count"

[[measures]]
label = "Conversations"
of = "conversations"
*/
select
    date_key as day,
    project_id as project,
    count(*) as conversations
from marts.dim_sessions
group by date_key, project_id
