{# Whether a line reports what an API call used. `<synthetic>` messages are the program's own: no call was made. #}
{% macro reports_usage() -%}
    (is_agent_progress or (is_message and role = 'assistant'))
    and (
        input_tokens is not null
        or output_tokens is not null
        or cache_write_tokens is not null
        or cache_read_tokens is not null
        or iterations is not null
    )
    and coalesce(model, '') <> '<synthetic>'
{%- endmacro %}

{# The columns that an API call has from the line it is billed by, as they are in `base_lines`. #}
{% macro api_call_attributes() -%}
    {% do return(['agent_id', 'git_branch', 'skill', 'mcp_server', 'client_version']) %}
{%- endmacro %}

{# The columns that `cost_usd` is the sum of. #}
{% macro cost_parts() -%}
    {% do return([
        'input_cost_usd', 'output_cost_usd', 'cache_write_5m_cost_usd', 'cache_write_1h_cost_usd',
        'cache_read_cost_usd', 'geography_cost_usd', 'batch_cost_usd', 'web_search_cost_usd', 'advisor_cost_usd',
        'fallback_cost_usd',
    ]) %}
{%- endmacro %}

{# A query: the lines that calls of the affected conversations are made of; all in a whole build. #}
{% macro affected_api_lines() -%}
    select * from {{ ref('stg_api_lines') }}
    where {{ is_linked('message_id', ref('stg_api_lines')) }}
    {%- if is_incremental() %}

    union all

    -- Those of calls that the API gave no id.
    select * from {{ ref('stg_api_lines') }}
    where message_id is null
    {%- endif %}
{%- endmacro %}

{#
    CTEs that make the facts of API calls, `final`, out of `lines`. One answer of the API is written as several
    lines, each repeating what it used so far: the largest is the bill.

    Args:
        tool_calls: Relation with the web searches that the program made for a call's tools; none if there are none.
#}
{% macro api_call_ctes(tool_calls=none) -%}
measured_lines as (
    select
        *,
        input_tokens + output_tokens + cache_write_5m_tokens + cache_write_1h_tokens + cache_read_tokens
            as total_tokens
    from lines
),

prices as (
    select * from {{ ref('stg_model_prices') }}
),

iteration_costs as (
    select * from {{ ref('int_iteration_costs') }}
),

ranked as (
    select
        *,
        row_number() over (
            partition by call_id, message_id
            order by
                -- A conversation's own line beats a sub-agent's copy of it.
                case when is_sidechain then 1 else 0 end,
                total_tokens desc,
                coalesce(length(iterations), 0) desc,
                written_at nulls last,
                line_id
        ) as row_rank,
        count(*) over (partition by call_id, message_id) as line_count,
        min(written_at) over (partition by call_id, message_id) as called_at,
        max(stop_reason) over (partition by call_id, message_id) as final_stop_reason
    from measured_lines
),

calls as (
    select
        *,
        {{ surrogate_key(['message_id', 'call_id']) }} as api_call_key,
        {{ model_family('model') }} as model_family
    from ranked
    where row_rank = 1
),

{% if tool_calls is not none -%}
searches as (
    select
        api_call_key,
        {{ total('web_search_requests') }} as web_search_requests
    from {{ tool_calls }}
    where web_search_requests > 0
    group by api_call_key
),

{% endif -%}
priced as (
    select
        calls.*,
        {%- if tool_calls is not none %}
        coalesce(calls.web_search_requests, 0) + coalesce(searches.web_search_requests, 0) as all_web_searches,
        {%- else %}
        coalesce(calls.web_search_requests, 0) as all_web_searches,
        {%- endif %}
        coalesce(iteration_costs.advisor_tokens, 0) as advisor_tokens,
        coalesce(iteration_costs.fallback_tokens, 0) as fallback_tokens,
        coalesce(iteration_costs.advisor_cost_usd, 0) as advisor_list_usd,
        coalesce(iteration_costs.fallback_cost_usd, 0) as fallback_list_usd,
        coalesce(iteration_costs.has_price, true) as has_iteration_prices,
        {{ price_columns() }}
    from calls
    left join iteration_costs on calls.line_id = iteration_costs.line_id
    {%- if tool_calls is not none %}
    left join searches on calls.api_call_key = searches.api_call_key
    {%- endif %}
    left join prices on {{ is_price_of('calls', 'calls.called_at') }}
),

with_parts as (
    select
        *,
        price_valid_from is not null and has_iteration_prices as has_price,
        {%- for cost in token_costs() %}
        {{ cost }} * fast_factor / 1000000 as {{ (token_kinds().values() | list)[loop.index0] }}_list_usd,
        {%- endfor %}
        -- Multiplied once, as a sum of rounded parts would end in other digits.
        ({{ token_costs() | join(' + ') }}) * fast_factor / 1000000 as model_cost_usd,
        {{ geography_factor() }} as geography_factor,
        {{ batch_factor() }} as batch_factor
    from priced
),

with_cost as (
    select
        *,
        total_tokens + advisor_tokens + fallback_tokens as all_tokens,
        {%- for kind in token_kinds().values() %}
        case when has_price then {{ kind }}_list_usd end as {{ kind }}_cost_usd,
        {%- endfor %}
        case when has_price then model_cost_usd * (geography_factor - 1) end as geography_cost_usd,
        case when has_price then model_cost_usd * geography_factor * (batch_factor - 1) end as batch_cost_usd,
        case when has_price then advisor_list_usd * geography_factor * batch_factor end as advisor_cost_usd,
        case when has_price then fallback_list_usd * geography_factor * batch_factor end as fallback_cost_usd,
        case when has_price then cast(all_web_searches as {{ double_type() }}) * {{ var('web_search_usd') }} end
            as web_search_cost_usd,
        case
            when has_price
                then (model_cost_usd + advisor_list_usd + fallback_list_usd) * geography_factor * batch_factor
                + all_web_searches * {{ var('web_search_usd') }}
        end as cost_usd
    from with_parts
),

attributes as (
    select line_id, {{ api_call_attributes() | join(', ') }}
    from {{ ref('base_lines') }}
    where {{ is_affected() }}
),

final as (
    select
        calls.api_call_key,
        {{ surrogate_key(['calls.session_id']) }} as session_key,
        calls.session_id,
        calls.project_id,
        coalesce({{ local_date('calls.called_at') }}, calls.date_key) as date_key,
        calls.called_at as created_at,
        calls.message_id,
        calls.request_id,
        {{ surrogate_key(['calls.model']) }} as model_key,
        calls.model,
        calls.model_family,
        {%- for tokens in token_kinds() %}
        calls.{{ tokens }},
        {%- endfor %}
        calls.advisor_tokens,
        calls.fallback_tokens,
        calls.all_tokens as total_tokens,
        calls.cost_usd,
        {%- for part in cost_parts() %}
        calls.{{ part }},
        {%- endfor %}
        -- Without a stop reason the count of output tokens may be what it was when the stream broke off.
        calls.final_stop_reason is not null as is_final,
        calls.final_stop_reason as stop_reason,
        calls.is_long_context,
        calls.is_fast,
        calls.service_tier,
        calls.inference_geo,
        calls.all_web_searches as web_search_requests,
        calls.is_sidechain,
        {%- for column in api_call_attributes() %}
        attributes.{{ column }},
        {%- endfor %}
        calls.line_count,
        calls.line_id
    from with_cost as calls
    left join attributes on calls.line_id = attributes.line_id
    where {{ is_affected('calls.session_id') }}
)
{%- endmacro %}
