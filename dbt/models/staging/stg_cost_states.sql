{%- set amounts = [
    'cost_usd', 'input_tokens', 'output_tokens', 'cache_write_tokens', 'cache_read_tokens', 'web_search_requests',
] -%}
{%- set in_order
    = 'partition by session_id, model order by reported_ms nulls last, cost_usd, output_tokens, line_id' -%}
{%- set increase = 'case when is_continued then greatest({0} - previous_{0}, 0) else {0} end' -%}

-- Claude Code writes its running cost when a process ends, and the next process of the conversation goes on from
-- there. A lower figure than the one before shows that it did not: then it began from nothing.
-- What macros write is laid out for them, not for this file.
-- noqa: disable=LT02, LT05
with states as (
    select * from {{ ref('base_cost_states') }}
    where cost_usd is not null
),

with_previous as (
    select
        *,
        {%- for amount in amounts %}
        lag({{ amount }}) over ({{ in_order }}) as previous_{{ amount }},
        {%- endfor %}
        coalesce(cost_usd >= lag(cost_usd) over ({{ in_order }}), false) as is_continued
    from states
),

increases as (
    select
        line_id,
        session_id,
        model,
        model_family,
        {{ instant_of('process_started_ms') }} as process_started_at,
        {{ instant_of('reported_ms') }} as reported_at,
        has_unknown_price,
        cost_usd as running_cost_usd,
        {%- for amount in amounts %}
        {{ increase.format(amount) }} as {{ amount }}{{ ',' if not loop.last }}
        {%- endfor %}
    from with_previous
)

select * from increases
