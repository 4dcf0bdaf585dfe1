{{ config(materialized='incremental') }}

-- Calls of sub-agents that no conversation holds: older versions of the program showed them only as progress.
-- What macros write is laid out for them, not for this file.
-- noqa: disable=LT02, LT05
{%- set api_lines = affected_api_lines() %}
with affected_lines as (
    {{ api_lines }}
),

-- What a call is told by, it has from its message id: no other lines can be of it.
conversation_lines as (
    select api_lines.call_id
    from (
        {{ api_lines }}
    ) as api_lines
    where not api_lines.is_agent_progress
),

lines as (
    select * from affected_lines
    where is_agent_progress and call_id not in (select conversation_lines.call_id from conversation_lines)
),

{{ api_call_ctes() }}

select * from final
