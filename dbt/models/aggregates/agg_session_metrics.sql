with sessions as (
    select * from {{ ref('dim_sessions') }}
),

final as (
    select
        session_key,
        session_id,
        project_id,
        date_key,
        duration_seconds,
        active_seconds,
        {{ ratio('active_seconds', 'duration_seconds') }} as active_ratio,
        message_count,
        prompt_count,
        turn_count,
        tool_call_count,
        {{ ratio('tool_call_count', 'turn_count') }} as tool_calls_per_turn,
        tool_error_count,
        tool_rejection_count,
        {{ ratio('tool_error_count', 'tool_call_count - tool_rejection_count') }} as tool_error_rate,
        interruption_count,
        compaction_count,
        files_changed,
        lines_added,
        lines_removed,
        api_call_count,
        total_tokens,
        {{ ratio(
            'cache_read_tokens',
            '(input_tokens + cache_write_5m_tokens + cache_write_1h_tokens + cache_read_tokens)'
        ) }} as cache_hit_ratio,
        cost_usd,
        {{ ratio('cost_usd', 'turn_count') }} as cost_per_turn_usd,
        {{ ratio('cost_usd', '(active_seconds / 3600)') }} as cost_per_active_hour_usd,
        unpriced_call_count,
        unpriced_tokens
    from sessions
)

select * from final
