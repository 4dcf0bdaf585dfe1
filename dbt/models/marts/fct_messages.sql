{{ config(materialized='incremental') }}

with messages as (
    select * from {{ ref('int_messages_enriched') }}
    where {{ is_affected() }}
),

final as (
    select
        {{ surrogate_key(['session_id', 'line_key']) }} as message_key,
        {{ surrogate_key(['session_id']) }} as session_key,
        session_id,
        project_id,
        date_key,
        role,
        user_kind,
        task_category,
        content_length,
        message_sequence,
        turn_number,
        has_code_block,
        is_sidechain,
        agent_id,
        message_id,
        model,
        git_branch,
        client_version,
        permission_mode,
        written_at as created_at,
        hour_of_day,
        day_of_week,
        time_of_day,
        copy_count,
        line_id
    from messages
)

select * from final
