with calls as (
    select
        *,
        coalesce(git_branch, 'unknown') as branch
    from {{ ref('fct_api_calls') }}
),

spending as (
    select
        project_id,
        branch,
        count(distinct session_key) as sessions,
        count(*) as api_calls,
        {{ total('total_tokens') }} as total_tokens,
        {{ total('output_tokens') }} as output_tokens,
        {{ total_usd('cost_usd') }} as cost_usd,
        {{ count_if('cost_usd is null') }} as unpriced_calls,
        {{ total('case when cost_usd is null then total_tokens end') }} as unpriced_tokens,
        {{ joined('case when cost_usd is null then model end') }} as unpriced_models,
        min(date_key) as first_date_key,
        max(date_key) as last_date_key
    from calls
    group by project_id, branch
),

pull_requests as (
    select
        project_id,
        git_branch as branch,
        count(distinct pull_request_url) as pull_requests,
        {{ joined('pull_request_url') }} as pull_request_urls
    from {{ ref('int_pull_requests') }}
    group by project_id, git_branch
),

changes as (
    select
        project_id,
        coalesce(git_branch, 'unknown') as branch,
        {{ total('lines_added') }} as lines_added,
        {{ total('lines_removed') }} as lines_removed
    from {{ ref('fct_file_operations') }}
    group by project_id, coalesce(git_branch, 'unknown')
),

branches as (
    select
        project_id,
        branch
    from spending
    union distinct
    select
        project_id,
        branch
    from pull_requests
    union distinct
    select
        project_id,
        branch
    from changes
),

final as (
    select
        {{ surrogate_key(['branches.project_id', 'branches.branch']) }} as branch_cost_key,
        branches.project_id,
        branches.branch,
        coalesce(spending.sessions, 0) as sessions,
        coalesce(spending.api_calls, 0) as api_calls,
        coalesce(spending.total_tokens, 0) as total_tokens,
        coalesce(spending.output_tokens, 0) as output_tokens,
        case when coalesce(spending.api_calls, 0) = 0 then 0 else spending.cost_usd end as cost_usd,
        coalesce(spending.unpriced_calls, 0) as unpriced_calls,
        coalesce(spending.unpriced_tokens, 0) as unpriced_tokens,
        spending.unpriced_models,
        coalesce(changes.lines_added, 0) as lines_added,
        coalesce(changes.lines_removed, 0) as lines_removed,
        coalesce(pull_requests.pull_requests, 0) as pull_requests,
        pull_requests.pull_request_urls,
        {{ ratio('spending.cost_usd', 'pull_requests.pull_requests') }} as cost_per_pull_request_usd,
        spending.first_date_key,
        spending.last_date_key
    from branches
    left join spending on branches.project_id = spending.project_id and branches.branch = spending.branch
    left join pull_requests
        on branches.project_id = pull_requests.project_id and branches.branch = pull_requests.branch
    left join changes on branches.project_id = changes.project_id and branches.branch = changes.branch
)

select * from final
