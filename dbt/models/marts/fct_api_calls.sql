{{ config(materialized='incremental') }}

with calls as (
    select * from {{ ref('int_api_calls') }}
    where {{ is_affected() }} and {{ is_linked('message_id', ref('stg_api_lines')) }}
    {%- if is_incremental() %}

    union all

    -- Calls that the API gave no id.
    select * from {{ ref('int_api_calls') }}
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
