-- A model without a price costs nothing in no figure: its cost is null, and this says so.
{{ config(severity='warn') }}

select
    model,
    model_family,
    unpriced_calls
from {{ ref('dim_models') }}
where not has_price
