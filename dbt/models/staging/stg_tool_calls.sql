with calls as (
    select
        tool_use_id,
        line_id,
        session_id,
        project_id,
        coalesce(tool_name, 'unknown') as tool_name,
        file_path,
        called_skill,
        called_agent_type,
        edit_mode,
        written_at,
        date_key,
        is_sidechain,
        agent_id,
        git_branch,
        block_index
    from {{ ref('stg_content_blocks') }}
    where block_type = 'tool_use'
)

select * from calls
