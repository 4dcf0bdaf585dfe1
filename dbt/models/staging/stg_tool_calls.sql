-- noqa: disable=LT02
with own_blocks as (
    {{ counted_once(ref('base_blocks')) }}
),

blocks as (
    select * from own_blocks
    where block_type = 'tool_use'
),

answers as (
    select * from {{ ref('base_answers') }}
),

calls as (
    select
        {{ tool_call_id('blocks', 'answers') }} as call_id,
        blocks.tool_use_id,
        blocks.line_id,
        blocks.session_id,
        blocks.project_id,
        {{ answer_id('blocks', 'answers') }} as answer_id,
        blocks.message_id,
        coalesce(blocks.tool_name, 'unknown') as tool_name,
        blocks.file_path,
        blocks.called_skill,
        blocks.called_agent_type,
        blocks.edit_mode,
        case
            when blocks.tool_name = 'NotebookEdit' and coalesce(blocks.edit_mode, '') <> 'delete'
                then blocks.asked_lines
        end as asked_lines,
        blocks.written_at,
        blocks.date_key,
        blocks.is_sidechain,
        blocks.agent_id,
        blocks.git_branch,
        blocks.block_index
    from blocks
    left join answers on blocks.line_id = answers.line_id
)

select * from calls
