{#
    CTEs that make priced API calls, `with_cost`, out of `lines`. One answer of the API is written as several
    lines, each repeating what it used so far: the largest is the bill. (Lines of one call have one message id;
    it is named as well so that a condition on it reaches the lines.)
#}
{% macro api_call_ctes() -%}
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

ranked as (
    select
        *,
        row_number() over (
            partition by call_id, message_id
            order by
                -- A conversation's own line beats a sub-agent's copy of it.
                case when is_sidechain then 1 else 0 end,
                total_tokens desc,
                written_at,
                line_id
        ) as choice,
        count(*) over (partition by call_id, message_id) as line_count,
        min(written_at) over (partition by call_id, message_id) as called_at,
        max(stop_reason) over (partition by call_id, message_id) as final_stop_reason
    from measured_lines
),

calls as (
    select
        *,
        {{ model_family('model') }} as model_family
    from ranked
    where choice = 1
),

priced as (
    select
        calls.*,
        prices.valid_from as price_valid_from,
        prices.input_usd,
        prices.output_usd,
        prices.cache_write_5m_usd,
        prices.cache_write_1h_usd,
        prices.cache_read_usd,
        prices.input_long_usd,
        prices.output_long_usd,
        prices.cache_write_5m_long_usd,
        prices.cache_write_1h_long_usd,
        prices.cache_read_long_usd,
        prices.fast_multiplier,
        coalesce(
            calls.input_tokens + calls.cache_write_5m_tokens + calls.cache_write_1h_tokens
            + calls.cache_read_tokens > prices.long_context_above_tokens,
            false
        ) as is_long_context
    from calls
    left join prices
        on
            calls.model_family = prices.model_family
            and coalesce({{ utc_date('calls.called_at') }}, calls.date_key)
            between prices.valid_from and prices.valid_to
),

with_cost as (
    select
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
        total_tokens,
        {{ cost_usd() }} as cost_usd,
        price_valid_from,
        is_long_context,
        is_fast,
        service_tier,
        web_search_requests,
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
    from priced
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
        {{ surrogate_key(['call_id']) }} as api_call_key,
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
        total_tokens,
        cost_usd,
        is_final,
        stop_reason,
        is_long_context,
        is_fast,
        service_tier,
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
