-- An independent check on our figures. Only calls that began before Claude Code last wrote its cost are compared;
-- what it pays for without writing it to the log, such as titles, it alone knows.
with states as (
    select * from {{ ref('stg_cost_states') }}
),

sessions as (
    select * from {{ ref('dim_sessions') }}
),

last_reports as (
    select
        session_id,
        max(reported_at) as reported_at
    from states
    group by session_id
),

reported as (
    select
        session_id,
        model_family,
        {{ total_usd('cost_usd') }} as cost_usd,
        {{ total('input_tokens + output_tokens + cache_write_tokens + cache_read_tokens') }} as total_tokens,
        {{ any_true('has_unknown_price') }} as has_unknown_price
    from states
    group by session_id, model_family
),

calls as (
    select
        session_id,
        model_family,
        created_at,
        total_tokens,
        cost_usd
    from {{ ref('fct_api_calls') }}
    union all
    select
        session_id,
        model_family,
        created_at,
        total_tokens,
        cost_usd
    from {{ ref('fct_progress_api_calls') }}
),

logged as (
    select
        calls.session_id,
        calls.model_family,
        {{ total_usd('calls.cost_usd') }} as cost_usd,
        {{ total('calls.total_tokens') }} as total_tokens,
        {{ count_if('calls.cost_usd is null') }} as unpriced_calls
    from calls
    inner join last_reports on calls.session_id = last_reports.session_id
    where
        calls.created_at is null
        or last_reports.reported_at is null
        or calls.created_at <= last_reports.reported_at
    group by calls.session_id, calls.model_family
),

compared as (
    select
        coalesce(reported.session_id, logged.session_id) as session_id,
        coalesce(reported.model_family, logged.model_family) as model_family,
        reported.session_id is not null as is_reported,
        logged.session_id is not null as is_logged,
        coalesce(reported.cost_usd, 0) as reported_cost_usd,
        case when logged.session_id is null then 0 else logged.cost_usd end as cost_usd,
        coalesce(reported.total_tokens, 0) as reported_tokens,
        coalesce(logged.total_tokens, 0) as total_tokens,
        coalesce(logged.unpriced_calls, 0) as unpriced_calls,
        coalesce(reported.has_unknown_price, false) as has_unknown_price
    from reported
    full outer join logged
        on reported.session_id = logged.session_id and reported.model_family = logged.model_family
),

final as (
    select
        {{ surrogate_key(['compared.session_id', 'compared.model_family']) }} as cost_agreement_key,
        sessions.session_key,
        compared.session_id,
        sessions.project_id,
        sessions.date_key,
        compared.model_family,
        last_reports.reported_at,
        compared.reported_cost_usd,
        compared.cost_usd,
        coalesce(compared.cost_usd, 0) - compared.reported_cost_usd as difference_usd,
        compared.reported_tokens,
        compared.total_tokens,
        compared.unpriced_calls,
        compared.has_unknown_price,
        case
            when not compared.is_logged then 'only_reported'
            when not compared.is_reported then 'only_logged'
            when
                abs(coalesce(compared.cost_usd, 0) - compared.reported_cost_usd)
                <= greatest(0.05, 0.05 * compared.reported_cost_usd)
                then 'agrees'
            else 'differs'
        end as agreement
    from compared
    inner join sessions on compared.session_id = sessions.session_id
    left join last_reports on compared.session_id = last_reports.session_id
)

select * from final
