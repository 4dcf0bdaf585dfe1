with results as (
    select
        tool_use_id,
        line_id,
        session_id,
        written_at,
        is_error,
        error_text,
        changed_path,
        change_type,
        reported_duration_ms,
        is_interrupted,
        patch_lines_added,
        patch_lines_removed,
        created_lines,
        block_index
    from {{ ref('stg_content_blocks') }}
    where block_type = 'tool_result' and tool_use_id is not null
)

select * from results
