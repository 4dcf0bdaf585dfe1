-- A summary names the line it sums up; that line's conversation may be another than the one it stands in.
-- Few lines have a title, and few are summed up: see `stg_messages`.
-- noqa: disable=LT02
with own_lines as (
    {{ counted_once(ref('base_lines')) }}
),

lines_to_sum_up as (
    {{ counted_once(ref('base_lines')) }}
),

lines as (
    select * from own_lines
    where custom_title is not null or ai_title is not null or summary is not null or agent_name is not null
),

summed_up_lines as (
    select
        line_key,
        session_id
    from lines_to_sum_up
    where line_key in (select lines.leaf_uuid from lines)
),

titles as (
    select
        lines.line_id,
        coalesce(summed_up_lines.session_id, lines.session_id) as session_id,
        coalesce(lines.custom_title, lines.ai_title, lines.summary, lines.agent_name) as title,
        case
            when lines.custom_title is not null then 'custom'
            when lines.ai_title is not null then 'ai'
            when lines.summary is not null then 'summary'
            else 'agent_name'
        end as title_source,
        coalesce(lines.written_at, lines.ingested_at) as written_at,
        lines.source_version
    from lines
    left join summed_up_lines on lines.leaf_uuid = summed_up_lines.line_key
    where lines.leaf_uuid is null or summed_up_lines.line_key is not null or lines.custom_title is not null
)

select * from titles
