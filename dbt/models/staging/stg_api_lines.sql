-- Lines that report what an API call used. `<synthetic>` messages are the program's own: no call was made.
with lines as (
    select * from {{ ref('stg_conversations') }}
    where
        (is_agent_progress or (is_message and role = 'assistant'))
        and (input_tokens is not null or output_tokens is not null)
        and coalesce(model, '') <> '<synthetic>'
),

with_call as (
    select
        line_id,
        session_id,
        project_id,
        coalesce(message_id || ':' || coalesce(request_id, ''), line_key) as call_id,
        message_id,
        request_id,
        coalesce(model, 'unknown') as model,
        stop_reason,
        coalesce(input_tokens, 0) as input_tokens,
        coalesce(output_tokens, 0) as output_tokens,
        -- What is not said to live for an hour lives for five minutes.
        case
            when cache_write_tokens is null then coalesce(cache_write_5m_tokens, 0)
            when cache_write_tokens >= coalesce(cache_write_1h_tokens, 0)
                then cache_write_tokens - coalesce(cache_write_1h_tokens, 0)
            else coalesce(cache_write_5m_tokens, 0)
        end as cache_write_5m_tokens,
        coalesce(cache_write_1h_tokens, 0) as cache_write_1h_tokens,
        coalesce(cache_read_tokens, 0) as cache_read_tokens,
        coalesce(web_search_requests, 0) as web_search_requests,
        coalesce(service_tier, 'standard') as service_tier,
        coalesce(speed = 'fast', false) as is_fast,
        is_agent_progress,
        is_sidechain,
        agent_id,
        git_branch,
        skill,
        mcp_server,
        client_version,
        written_at,
        date_key
    from lines
)

select * from with_call
