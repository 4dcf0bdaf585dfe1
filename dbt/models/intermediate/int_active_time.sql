-- Work is what happens between two lines of a conversation that follow each other closely; a longer silence is a
-- pause. Counted for the hour in which the second line was written. What a clock or another program wrote, such as a
-- summary for somebody who was away, is no sign of work.
with lines as (
    select
        lines.session_id,
        lines.project_id,
        lines.written_at,
        lines.is_automatic or coalesce(kinds.is_automatic, false) as is_automatic
    from {{ ref('stg_conversations') }} as lines
    left join {{ ref('known_kinds') }} as kinds
        on kinds.kind = 'line_subtype' and lines.line_type || '/' || lines.line_subtype = kinds.name
    where lines.written_at is not null
),

gaps as (
    select
        session_id,
        project_id,
        written_at,
        {{ local_time('written_at') }} as local_written_at,
        case
            when is_automatic then null
            else {{ milliseconds_between(
                'lag(written_at) over (partition by session_id, is_automatic order by written_at)', 'written_at'
            ) }}
        end as gap_ms
    from lines
),

hours as (
    select
        session_id,
        min(project_id) as project_id,
        cast(local_written_at as date) as date_key,
        {{ time_part('hour', 'local_written_at') }} as hour_of_day,
        count(*) as line_count,
        {{ total("case when gap_ms <= " ~ var('active_gap_seconds') ~ " * 1000 then gap_ms end") }} as active_ms,
        min(written_at) as first_written_at,
        max(written_at) as last_written_at
    from gaps
    group by session_id, cast(local_written_at as date), {{ time_part('hour', 'local_written_at') }}
)

select * from hours
