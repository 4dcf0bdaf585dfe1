-- What macros write is laid out for them, not for this file.
-- noqa: disable=LT02, LT05
with calls as (
    select
        *,
        false as is_progress_only
    from {{ ref('fct_api_calls') }}

    union all

    select
        *,
        true as is_progress_only
    from {{ ref('fct_progress_api_calls') }}
),

final as (
    select
        {{ surrogate_key(['date_key', 'project_id', 'model']) }} as daily_cost_key,
        date_key,
        project_id,
        model,
        {{ count_if('not is_progress_only') }} as api_calls,
        {{ total('case when not is_progress_only then input_tokens end') }} as input_tokens,
        {{ total('case when not is_progress_only then output_tokens end') }} as output_tokens,
        {{ total('case when not is_progress_only then cache_write_5m_tokens end') }} as cache_write_5m_tokens,
        {{ total('case when not is_progress_only then cache_write_1h_tokens end') }} as cache_write_1h_tokens,
        {{ total('case when not is_progress_only then cache_read_tokens end') }} as cache_read_tokens,
        {{ total('case when not is_progress_only then advisor_tokens end') }} as advisor_tokens,
        {{ total('case when not is_progress_only then fallback_tokens end') }} as fallback_tokens,
        {{ total('case when not is_progress_only then total_tokens end') }} as total_tokens,
        {{ total('case when not is_progress_only then web_search_requests end') }} as web_search_requests,
        -- Null, not 0, where no call has a price.
        {{ total_usd('case when not is_progress_only then cost_usd end') }} as cost_usd,
        {%- for part in cost_parts() %}
        {{ total_usd('case when not is_progress_only then ' ~ part ~ ' end') }} as {{ part }},
        {%- endfor %}
        {{ count_if('cost_usd is null and not is_progress_only') }} as unpriced_calls,
        {{ total('case when cost_usd is null and not is_progress_only then total_tokens end') }} as unpriced_tokens,
        {{ count_if('not is_final and not is_progress_only') }} as unfinished_calls,
        {{ count_if('is_progress_only') }} as progress_api_calls,
        {{ total('case when is_progress_only then total_tokens end') }} as progress_tokens,
        {{ total_usd('case when is_progress_only then cost_usd end') }} as progress_cost_usd,
        {{ count_if('cost_usd is null and is_progress_only') }} as progress_unpriced_calls
    from calls
    group by date_key, project_id, model
)

select * from final
