-- What every line has, whatever its kind.
-- noqa: disable=LT02
with lines as (
    {{ counted_once(ref('base_lines')) }}
),

conversations as (
    select
        line_id,
        line_key,
        session_id,
        project_id,
        line_type,
        line_subtype,
        role,
        is_message,
        is_automatic,
        written_at,
        ingested_at,
        date_key,
        git_branch,
        client_version,
        copy_count
    from lines
)

select * from conversations
