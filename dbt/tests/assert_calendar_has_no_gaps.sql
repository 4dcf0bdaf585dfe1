-- One row for each day between the first and the last; days that only a broken clock can tell stand alone.
select
    count(*) as days,
    max(date_key) - min(date_key) as span
from {{ ref('dim_date') }}
where date_key between cast('2020-01-01' as date) and cast('2099-12-31' as date)
having count(*) > 0 and count(*) <> max(date_key) - min(date_key) + 1
