{{ config(materialized='incremental') }}

-- Calls of sub-agents that no conversation holds: older versions of the program showed them only as progress.
-- What macros write is laid out for them, not for this file.
-- noqa: disable=LT02, LT05
with affected_lines as (
    {{ affected_api_lines() }}
),

conversation_lines as (
    select call_id from {{ ref('stg_api_lines') }}
    where not is_agent_progress
),

lines as (
    select * from affected_lines
    where is_agent_progress and call_id not in (select conversation_lines.call_id from conversation_lines)
),

{{ api_call_ctes() }}

select * from final
