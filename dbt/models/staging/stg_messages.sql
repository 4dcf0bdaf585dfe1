with lines as (
    select * from {{ ref('stg_conversations') }}
    where is_message
),

with_kind as (
    select
        line_id,
        line_key,
        session_id,
        project_id,
        role,
        case when role = 'user' then {{ user_kind("coalesce(typed_text, '')") }} end as user_kind,
        typed_text,
        content_length,
        has_code_block,
        written_at,
        date_key,
        is_sidechain,
        agent_id,
        message_id,
        model,
        git_branch,
        client_version,
        permission_mode,
        copy_count
    from lines
)

select * from with_kind
