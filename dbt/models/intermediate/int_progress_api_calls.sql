-- Calls of sub-agents that no conversation holds: older versions of the program showed them only as progress.
with conversation_lines as (
    select call_id from {{ ref('stg_api_lines') }}
    where not is_agent_progress
),

lines as (
    select * from {{ ref('stg_api_lines') }}
    where is_agent_progress and call_id not in (select conversation_lines.call_id from conversation_lines)
),

{{ api_call_ctes() }}

select * from with_cost
