/*
title = "Documents delivered"
answers = "How much arrives, by stream and by backfill?"
dashboard = "Pipeline Health"
position = 30
display = "columns"
by = "day"
series = "lane"
note = "Versions of documents: one that changed twice counts twice. Days are those of UTC."

[columns]
day = "date"
lane = "text"
documents = "count"

[[measures]]
label = "Documents"
of = "documents"
*/
select
    day,
    lane,
    upserts + deletes as documents
from ops.deliveries
