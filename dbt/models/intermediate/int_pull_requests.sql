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
    where git_branch is not null and session_id in (select pull_requests.session_id from pull_requests)
),

-- One row per link and branch, so that few rows are left to be put in order.
branches as (
    select
        pull_requests.line_id,
        messages.git_branch,
        max(case when messages.written_at <= pull_requests.written_at then messages.written_at end) as last_before,
        min(messages.written_at) as first_at
    from pull_requests
    left join messages on pull_requests.session_id = messages.session_id
    group by pull_requests.line_id, messages.git_branch
),

located as (
    select
        line_id,
        git_branch,
        row_number() over (
            partition by line_id
            order by last_before desc nulls last, first_at asc nulls last, git_branch asc
        ) as row_rank
    from branches
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
