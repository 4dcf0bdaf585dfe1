-- Two prices for one day would count a call twice.
select
    earlier.model_family,
    earlier.valid_from,
    later.valid_from as overlapping_from
from {{ ref('stg_model_prices') }} as earlier
inner join {{ ref('stg_model_prices') }} as later
    on
        earlier.model_family = later.model_family
        and earlier.valid_from < later.valid_from
        and earlier.valid_to >= later.valid_from

union all

select
    model_family,
    valid_from,
    valid_from as overlapping_from
from {{ ref('stg_model_prices') }}
group by model_family, valid_from
having count(*) > 1
