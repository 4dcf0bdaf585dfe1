with results as (
    select
        tool_use_id,
        line_id,
        session_id,
        written_at,
        is_error,
        error_text,
        reported_duration_ms,
        is_interrupted,
        block_index,
        changed_path,
        -- A failed change changed nothing; a created file reports no patch, its content is what was added.
        case when not is_error and changed_path is not null then change_type end as change_type,
        case
            when is_error or changed_path is null then 0
            when patch_lines_added + patch_lines_removed > 0 then patch_lines_added
            else coalesce(created_lines, 0)
        end as lines_added,
        case when is_error or changed_path is null then 0 else coalesce(patch_lines_removed, 0) end as lines_removed
    from {{ ref('stg_content_blocks') }}
    where block_type = 'tool_result' and tool_use_id is not null
)

select * from results
