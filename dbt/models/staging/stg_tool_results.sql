-- A result belongs to a call of its own conversation. A fork repeats calls of another one, for which they count, and
-- may hold the only result.
-- Each CTE is read once, see `stg_messages`.
with blocks as (
    select * from {{ ref('base_blocks') }}
    where block_type = 'tool_result'
),

own_matches as (
    select * from {{ ref('base_tool_results') }}
),

copied_matches as (
    select * from {{ ref('base_tool_results') }}
),

copies as (
    select * from {{ ref('base_line_copies') }}
    where is_copy and not is_repetition
),

answered as (
    select
        session_id,
        call_line_id,
        call_block_index,
        line_id,
        block_index,
        has_report,
        false as is_from_fork
    from own_matches

    union all

    select
        copies.first_session_id as session_id,
        copies.first_line_id as call_line_id,
        copied_matches.call_block_index,
        copied_matches.line_id,
        copied_matches.block_index,
        copied_matches.has_report,
        true as is_from_fork
    from copied_matches
    inner join copies on copied_matches.call_line_id = copies.line_id
),

results as (
    select
        answered.session_id,
        answered.call_line_id,
        answered.call_block_index,
        answered.is_from_fork,
        blocks.tool_use_id,
        blocks.line_id,
        blocks.block_index,
        blocks.written_at,
        blocks.is_error,
        blocks.error_text,
        case when answered.has_report then blocks.reported_duration_ms end as reported_duration_ms,
        answered.has_report and blocks.is_interrupted as is_interrupted,
        case when answered.has_report then coalesce(blocks.web_search_requests, 0) else 0 end as web_search_requests,
        -- A failed change changed nothing; a created file reports no patch, its content is what was added.
        case
            when answered.has_report and not blocks.is_error and blocks.changed_path is not null
                then blocks.change_type
        end as change_type,
        case
            when not answered.has_report or blocks.is_error or blocks.changed_path is null then 0
            when blocks.patch_lines_added + blocks.patch_lines_removed > 0 then blocks.patch_lines_added
            else coalesce(blocks.created_lines, 0)
        end as lines_added,
        case
            when not answered.has_report or blocks.is_error or blocks.changed_path is null then 0
            else coalesce(blocks.patch_lines_removed, 0)
        end as lines_removed,
        case when answered.has_report and not blocks.is_error then blocks.notebook_lines end as notebook_lines
    from answered
    inner join blocks on answered.line_id = blocks.line_id and answered.block_index = blocks.block_index
)

select * from results
