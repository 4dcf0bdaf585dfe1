/*
title = "List value against what is paid"
answers = "What would we have paid at list prices, and what did we pay?"
dashboard = "Spend"
position = 23
display = "columns"
by = "day"
grain = "month"
is_stacked = false
may_be_empty = true
note = "Shown if MODEL_PRICES_FILE states a discount or a subscription. On the days of a subscription use costs nothing besides; calls without a price are in neither."

[columns]
day = "date"
project = "project"
list_usd = "usd"
paid_usd = "usd"

[[measures]]
label = "List value"
of = "list_usd"

[[measures]]
label = "Paid"
of = "paid_usd"
*/
select
    month_key as day,
    project_id as project,
    list_usd,
    paid_usd
from marts.agg_monthly_cost
where has_terms
