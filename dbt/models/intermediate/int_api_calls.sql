with lines as (
    select * from {{ ref('stg_api_lines') }}
    where not is_agent_progress
),

{{ api_call_ctes() }}

select * from with_cost
