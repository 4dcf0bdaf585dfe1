{#
    CTEs that make priced API calls, `with_cost`, out of `lines`. One answer of the API is written as several
    lines, each repeating what it used so far: the largest is the bill. (Lines of one call have one message id;
    it is named as well so that a condition on it reaches the lines.)

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
                written_at,
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
        {{ cost }} * fast_factor / 1000000 as {{ (token_kinds().values() | list)[loop.index0] }}_cost_usd,
        {%- endfor %}
        -- Multiplied once, as a sum of rounded parts would end in other digits.
        ({{ token_costs() | join(' + ') }}) * fast_factor / 1000000 as model_cost_usd,
        {{ geography_factor() }} as geography_factor,
        {{ batch_factor() }} as batch_factor
    from priced
),

with_cost as (
    select
        api_call_key,
        call_id,
        line_id,
        session_id,
        project_id,
        message_id,
        request_id,
        model,
        model_family,
        called_at,
        coalesce({{ local_date('called_at') }}, date_key) as date_key,
        input_tokens,
        output_tokens,
        cache_write_5m_tokens,
        cache_write_1h_tokens,
        cache_read_tokens,
        advisor_tokens,
        fallback_tokens,
        total_tokens + advisor_tokens + fallback_tokens as total_tokens,
        {%- for kind in token_kinds().values() %}
        case when has_price then {{ kind }}_cost_usd end as {{ kind }}_cost_usd,
        {%- endfor %}
        case when has_price then model_cost_usd * (geography_factor - 1) end as geography_cost_usd,
        case when has_price then model_cost_usd * geography_factor * (batch_factor - 1) end as batch_cost_usd,
        case when has_price then advisor_list_usd * geography_factor * batch_factor end as advisor_cost_usd,
        case when has_price then fallback_list_usd * geography_factor * batch_factor end as fallback_cost_usd,
        case when has_price then cast(all_web_searches as double precision) * {{ var('web_search_usd') }} end
            as web_search_cost_usd,
        case
            when has_price
                then (model_cost_usd + advisor_list_usd + fallback_list_usd) * geography_factor * batch_factor
                + all_web_searches * {{ var('web_search_usd') }}
        end as cost_usd,
        price_valid_from,
        is_long_context,
        is_fast,
        service_tier,
        inference_geo,
        all_web_searches as web_search_requests,
        final_stop_reason as stop_reason,
        -- Without a stop reason the count of output tokens may be what it was when the stream broke off.
        final_stop_reason is not null as is_final,
        is_sidechain,
        agent_id,
        git_branch,
        skill,
        mcp_server,
        client_version,
        line_count
    from with_parts
)
{%- endmacro %}


{#
    The facts of API calls, whichever way their lines came.

    Args:
        calls: Relation with the columns of `int_api_calls`.
#}
{% macro api_call_facts(calls) -%}
with calls as (
    select * from {{ calls }}
    where {{ is_affected() }} and {{ is_linked('message_id', ref('stg_api_lines')) }}
    {%- if is_incremental() %}

    union all

    -- Calls that the API gave no id.
    select * from {{ calls }}
    where {{ is_affected() }} and message_id is null
    {%- endif %}
),

final as (
    select
        api_call_key,
        {{ surrogate_key(['session_id']) }} as session_key,
        session_id,
        project_id,
        date_key,
        called_at as created_at,
        message_id,
        request_id,
        {{ surrogate_key(['model']) }} as model_key,
        model,
        model_family,
        input_tokens,
        output_tokens,
        cache_write_5m_tokens,
        cache_write_1h_tokens,
        cache_read_tokens,
        advisor_tokens,
        fallback_tokens,
        total_tokens,
        cost_usd,
        {%- for part in cost_parts() %}
        {{ part }},
        {%- endfor %}
        is_final,
        stop_reason,
        is_long_context,
        is_fast,
        service_tier,
        inference_geo,
        web_search_requests,
        is_sidechain,
        agent_id,
        git_branch,
        skill,
        mcp_server,
        client_version,
        line_count,
        line_id
    from calls
)

select * from final
{%- endmacro %}

{# The columns that `cost_usd` is the sum of. #}
{% macro cost_parts() -%}
    {% do return([
        'input_cost_usd', 'output_cost_usd', 'cache_write_5m_cost_usd', 'cache_write_1h_cost_usd',
        'cache_read_cost_usd', 'geography_cost_usd', 'batch_cost_usd', 'web_search_cost_usd', 'advisor_cost_usd',
        'fallback_cost_usd',
    ]) %}
{%- endmacro %}
