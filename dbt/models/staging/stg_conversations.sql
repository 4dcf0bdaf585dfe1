-- The one place where copies are dropped. A forked or resumed conversation repeats lines of the first one under
-- its own id, and the same line may have been imported twice: each line counts once, for the conversation that
-- had it first.
with lines as (
    select * from {{ ref('base_lines') }}
),

copies as (
    select * from {{ ref('base_line_copies') }}
),

sessions as (
    select * from {{ ref('base_sessions') }}
),

counted_lines as (
    select
        lines.*,
        coalesce(copies.line_count, 1) - 1 as copy_count,
        sessions.project_id
    from lines
    left join copies on lines.line_id = copies.line_id
    left join sessions on lines.session_id = sessions.session_id
    where copies.is_copy is null or not copies.is_copy
)

select * from counted_lines
