-- What use was worth at list prices, and what was paid for it: by use, less a discount, or by subscription. On the days
-- of a subscription use costs nothing besides; its fee is spread over the projects by what they used in the month.
{%- set discounts = var('discounts') -%}
{%- set subscriptions = var('subscriptions') %}
-- What macros write is laid out for them, not for this file.
-- noqa: disable=LT02, LT05
with days as (
    select
        date_key,
        {{ month_of('date_key') }} as month_key,
        project_id,
        coalesce({{ total_usd('cost_usd') }}, 0) as list_usd,
        {{ total('unpriced_calls') }} as unpriced_calls,
        {{ total('unpriced_tokens') }} as unpriced_tokens
    from {{ ref('agg_daily_cost') }}
    where api_calls > 0
    group by date_key, project_id
),

discounts as (
    {{ given_rows(discounts, {'share': double_type(), 'valid_from': 'date', 'valid_to': 'date'}) }}
),

subscriptions as (
    {{ given_rows(subscriptions, {
        'usd_per_month': double_type(), 'valid_from': 'date', 'valid_to': 'date',
    }) }}
),

covered_days as (
    select distinct days.date_key
    from days
    inner join subscriptions on days.date_key between subscriptions.valid_from and subscriptions.valid_to
),

projects as (
    select
        days.month_key,
        days.project_id,
        {{ total_usd('days.list_usd') }} as list_usd,
        coalesce({{ total_usd(
            'case when covered_days.date_key is null then days.list_usd * (1 - coalesce(discounts.share, 0)) end'
        ) }}, 0) as paid_by_use_usd,
        {{ total('days.unpriced_calls') }} as unpriced_calls,
        {{ total('days.unpriced_tokens') }} as unpriced_tokens
    from days
    left join discounts on days.date_key between discounts.valid_from and discounts.valid_to
    left join covered_days on days.date_key = covered_days.date_key
    group by days.month_key, days.project_id
),

months as (
    select
        month_key,
        {{ last_day_of_month('month_key') }} as last_day,
        {{ total_usd('list_usd') }} as list_usd,
        count(*) as project_count
    from projects
    group by month_key
),

fees as (
    select
        months.month_key,
        sum(
            subscriptions.usd_per_month
            * (
                {{ days_between(
                    'greatest(subscriptions.valid_from, months.month_key)',
                    'least(subscriptions.valid_to, months.last_day)'
                ) }} + 1
            )
            / ({{ days_between('months.month_key', 'months.last_day') }} + 1)
        ) as usd
    from months
    inner join subscriptions
        on months.month_key <= subscriptions.valid_to and months.last_day >= subscriptions.valid_from
    group by months.month_key
),

with_fees as (
    select
        projects.*,
        coalesce(
            fees.usd * case
                when months.list_usd > 0 then projects.list_usd / months.list_usd else 1.0 / months.project_count
            end,
            0
        ) as subscription_usd
    from projects
    inner join months on projects.month_key = months.month_key
    left join fees on projects.month_key = fees.month_key
),

final as (
    select
        {{ surrogate_key(['month_key', 'project_id']) }} as monthly_cost_key,
        month_key,
        project_id,
        list_usd,
        paid_by_use_usd,
        subscription_usd,
        paid_by_use_usd + subscription_usd as paid_usd,
        {{ 'true' if discounts or subscriptions else 'false' }} as has_terms,
        unpriced_calls,
        unpriced_tokens
    from with_fees
)

select * from final
