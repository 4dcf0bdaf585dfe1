-- One row for each day between the first and the last.
select
    count(*) as days,
    max(date_key) - min(date_key) as span
from {{ ref('dim_date') }}
having count(*) > 0 and count(*) <> max(date_key) - min(date_key) + 1
