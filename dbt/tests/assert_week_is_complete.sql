-- Seven days of 24 hours, whatever the data.
select count(*) as slots
from {{ ref('agg_hourly_activity') }}
having count(*) <> 168
