with lines as (
    select * from {{ ref('stg_api_lines') }}
    where not is_agent_progress
),

{{ api_call_ctes(ref('fct_tool_calls')) }}

select * from with_cost
