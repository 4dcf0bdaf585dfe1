-- A pull-request line names no branch: it was opened from the one that the conversation was on just before.
with pull_requests as (
    select * from {{ ref('stg_pull_requests') }}
),

messages as (
    select
        session_id,
        git_branch,
        written_at
    from {{ ref('stg_messages') }}
    where git_branch is not null
),

located as (
    select
        pull_requests.line_id,
        messages.git_branch,
        row_number() over (
            partition by pull_requests.line_id
            order by
                case when messages.written_at <= pull_requests.written_at then 0 else 1 end asc,
                messages.written_at desc,
                messages.git_branch asc
        ) as row_rank
    from pull_requests
    left join messages on pull_requests.session_id = messages.session_id
),

final as (
    select
        pull_requests.line_id,
        pull_requests.session_id,
        pull_requests.project_id,
        coalesce(located.git_branch, 'unknown') as git_branch,
        pull_requests.pull_request_url,
        pull_requests.pull_request_number,
        pull_requests.pull_request_repository,
        pull_requests.written_at
    from pull_requests
    inner join located on pull_requests.line_id = located.line_id and located.row_rank = 1
)

select * from final
