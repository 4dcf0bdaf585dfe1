{{ config(materialized='incremental') }}

-- What macros write is laid out for them, not for this file.
-- noqa: disable=LT02, LT05
with affected_lines as (
    {{ affected_api_lines() }}
),

lines as (
    select * from affected_lines
    where not is_agent_progress
),

{{ api_call_ctes(ref('fct_tool_calls')) }}

select * from final
