/*
title = "From a change to the warehouse"
answers = "How fresh is what the stream delivers?"
dashboard = "Pipeline Health"
position = 20
display = "line"
by = "day"
note = "Lag of the oldest change in each micro-batch of the stream, by the server's time, right to about a second. While the worker was down, changes waited."

[columns]
day = "date"
landed_ms = "milliseconds"
landed = "count"
loaded_ms = "milliseconds"
loaded = "count"

[[measures]]
label = "95 % loaded within"
of = "loaded_ms"
quantile = 0.95
weight = "loaded"

[[measures]]
label = "95 % durable within"
of = "landed_ms"
quantile = 0.95
weight = "landed"

[[measures]]
label = "Half durable within"
of = "landed_ms"
quantile = 0.5
weight = "landed"
*/
select
    day,
    case when stage = 'landed' then lag_ms else 0 end as landed_ms,
    case when stage = 'landed' then micro_batches else 0 end as landed,
    case when stage = 'loaded' then lag_ms else 0 end as loaded_ms,
    case when stage = 'loaded' then micro_batches else 0 end as loaded
from ops.delivery_lags
