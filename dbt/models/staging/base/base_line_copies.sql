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
        lines.ingested_at,
        lines.forked_from_session_id,
        {{ prompt_tokens() }} + coalesce(lines.output_tokens, 0) as tokens,
        min(lines.written_at) over (partition by lines.line_key, lines.session_id) as first_written_at,
        min(lines.ingested_at) over (partition by lines.line_key, lines.session_id) as first_ingested_at,
        -- A fork says so itself, in newer versions of the program.
        min(case when lines.forked_from_session_id is null then 0 else 1 end)
            over (partition by lines.line_key, lines.session_id) as is_fork
    from lines
    inner join repeated_keys on lines.line_key = repeated_keys.line_key
),

originals as (
    select
        line_key,
        session_id,
        min(first_written_at) as first_written_at
    from repeated_lines
    group by line_key, session_id
),

conversations as (
    select
        session_id,
        max(written_at) as last_written_at
    from {{ ref('base_lines') }}
    where session_id in (select repeated_lines.session_id from repeated_lines)
    group by session_id
),

dated as (
    select
        repeated_lines.*,
        conversations.last_written_at,
        -- Not every program's uuids are unique: a copy also has the time of its original, or names it.
        min(
            case
                when originals.line_key is null then repeated_lines.first_written_at else originals.first_written_at
            end
        ) over (partition by repeated_lines.line_key, repeated_lines.session_id) as occurred_at,
        -- Of the versions of a line, the one that reports most.
        row_number() over (
            partition by repeated_lines.line_key, repeated_lines.session_id
            order by repeated_lines.tokens desc, repeated_lines.ingested_at asc nulls last, repeated_lines.line_id asc
        ) as version_rank
    from repeated_lines
    left join conversations on repeated_lines.session_id = conversations.session_id
    left join originals
        on
            repeated_lines.line_key = originals.line_key
            and repeated_lines.forked_from_session_id = originals.session_id
),

ranked as (
    select
        *,
        row_number() over (
            partition by line_key, occurred_at
            order by
                is_fork,
                -- A resumed conversation goes on where the first one ended.
                last_written_at nulls last,
                first_ingested_at nulls last,
                session_id,
                version_rank
        ) as copy_rank,
        count(*) over (partition by line_key, occurred_at) as line_count
    from dated
),

with_first as (
    select
        line_id,
        session_id,
        line_key,
        copy_rank > 1 as is_copy,
        version_rank > 1 as is_repetition,
        line_count,
        first_value(session_id) over (partition by line_key, occurred_at order by copy_rank) as first_session_id,
        first_value(line_id) over (partition by line_key, occurred_at order by copy_rank) as first_line_id,
        forked_from_session_id
    from ranked
)

select * from with_first
where {{ is_affected() }}
