{{ config(materialized='incremental') }}

with lines as (
    select * from {{ ref('base_lines') }}
    {%- if is_incremental() %}
    -- Also the lines of other conversations that are copies of an affected one's.
    where line_key in (select line_key from {{ ref('base_lines') }} where {{ is_affected() }})
    {%- endif %}
),

repeated_keys as (
    select line_key
    from lines
    group by line_key
    having count(*) > 1
),

repeated_lines as (
    select
        lines.line_id,
        lines.session_id,
        lines.line_key,
        lines.written_at,
        lines.ingested_at,
        lines.forked_from_session_id
    from lines
    inner join repeated_keys on lines.line_key = repeated_keys.line_key
),

conversations as (
    select
        session_id,
        max(written_at) as last_written_at
    from {{ ref('base_lines') }}
    where session_id in (select repeated_lines.session_id from repeated_lines)
    group by session_id
),

ranked as (
    select
        repeated_lines.*,
        row_number() over (
            partition by repeated_lines.line_key
            order by
                -- A fork says so itself, in newer versions of the program.
                case when repeated_lines.forked_from_session_id is null then 0 else 1 end,
                repeated_lines.written_at,
                -- A resumed conversation goes on where the first one ended.
                conversations.last_written_at,
                repeated_lines.ingested_at,
                repeated_lines.session_id,
                repeated_lines.line_id
        ) as copy_rank,
        count(*) over (partition by repeated_lines.line_key) as line_count
    from repeated_lines
    left join conversations on repeated_lines.session_id = conversations.session_id
),

with_first as (
    select
        line_id,
        session_id,
        line_key,
        copy_rank > 1 as is_copy,
        line_count,
        first_value(session_id) over (partition by line_key order by copy_rank) as first_session_id,
        forked_from_session_id
    from ranked
)

select * from with_first
where {{ is_affected() }}
