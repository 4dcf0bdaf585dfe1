{{ config(materialized='incremental') }}

{%- set state_paths = ['startTime', 'totalDuration', 'hasUnknownModelCost'] -%}
{%- set usage_paths = [
    'costUSD', 'inputTokens', 'outputTokens', 'cacheCreationInputTokens', 'cacheReadInputTokens', 'webSearchRequests',
] -%}

-- What macros write is laid out for them, not for this file.
-- noqa: disable=LT02, LT05
with documents as (
    {{ affected_documents() }}
),

states as (
    select
        *,
        {{ json_fields('extra', state_paths) }} as state_fields
    from documents
    where type = 'cost-state'
),

entries as (
    {{ json_entries('states', 'extra', 'modelUsage', ['_id', 'session_id', 'state_fields']) }}
),

read_entries as (
    select
        *,
        {{ json_fields('entry_value', usage_paths) }} as usage_fields
    from entries
),

timed as (
    select
        *,
        -- A time beyond the year 9999 is none.
        case
            when {{ to_integer(json_field('state_fields', state_paths, 'startTime')) }} between 0 and 253402300799999
                then {{ to_integer(json_field('state_fields', state_paths, 'startTime')) }}
        end as started_ms,
        {{ to_count(json_field('state_fields', state_paths, 'totalDuration')) }} as duration_ms
    from read_entries
),

final as (
    select
        _id as line_id,
        session_id,
        entry_key as model,
        {{ model_family('entry_key') }} as model_family,
        started_ms as process_started_ms,
        -- The line has no time: the program counts its duration from its start.
        started_ms + coalesce(duration_ms, 0) as reported_ms,
        {{ to_truth(json_field('state_fields', state_paths, 'hasUnknownModelCost')) }} as has_unknown_price,
        {{ to_amount(json_field('usage_fields', usage_paths, 'costUSD')) }} as cost_usd,
        {%- for column, path in {
            'input_tokens': 'inputTokens', 'output_tokens': 'outputTokens',
            'cache_write_tokens': 'cacheCreationInputTokens', 'cache_read_tokens': 'cacheReadInputTokens',
            'web_search_requests': 'webSearchRequests',
        }.items() %}
        coalesce({{ to_count(json_field('usage_fields', usage_paths, path)) }}, 0) as {{ column }}
        {{- ',' if not loop.last }}
        {%- endfor %}
    from timed
)

select * from final
