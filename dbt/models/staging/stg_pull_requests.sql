-- noqa: disable=LT02
with lines as (
    {{ counted_once(ref('base_lines')) }}
),

pull_requests as (
    select
        line_id,
        session_id,
        project_id,
        pull_request_url,
        pull_request_number,
        pull_request_repository,
        written_at
    from lines
    where line_type = 'pr-link' and pull_request_url is not null
)

select * from pull_requests
