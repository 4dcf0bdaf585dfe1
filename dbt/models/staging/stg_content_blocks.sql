with blocks as (
    select * from {{ ref('base_blocks') }}
),

copies as (
    select * from {{ ref('base_line_copies') }}
    where is_copy
),

sessions as (
    select * from {{ ref('base_sessions') }}
),

counted_blocks as (
    select
        blocks.*,
        sessions.project_id
    from blocks
    left join copies on blocks.line_id = copies.line_id
    left join sessions on blocks.session_id = sessions.session_id
    where copies.line_id is null
)

select * from counted_blocks
