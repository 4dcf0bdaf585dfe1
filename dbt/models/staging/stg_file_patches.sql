-- A created file reports no patch, its content is what was added; a failed change changed nothing.
with results as (
    select * from {{ ref('stg_tool_results') }}
    where not is_error
),

patches as (
    select
        tool_use_id,
        line_id,
        session_id,
        changed_path,
        change_type,
        case
            when patch_lines_added + patch_lines_removed > 0 then patch_lines_added
            else coalesce(created_lines, 0)
        end as lines_added,
        patch_lines_removed as lines_removed
    from results
    where changed_path is not null
)

select * from patches
