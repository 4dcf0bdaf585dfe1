{{ config(severity='warn') }}

-- Five cents and five percent are what rounding and a call in flight may make.
select
    session_id,
    model_family,
    reported_cost_usd,
    cost_usd
from {{ ref('agg_cost_agreement') }}
where agreement = 'differs' or (agreement = 'only_logged' and abs(difference_usd) > 0.05)
