with lines as (
    select * from {{ ref('stg_conversations') }}
    where line_type = 'pr-link' and pull_request_url is not null
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
)

select * from pull_requests
