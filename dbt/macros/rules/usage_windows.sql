{# What the calls of a group used, as columns. #}
{% macro usage_sums() -%}
    count(*) as api_calls,
    {%- for tokens in token_kinds().keys() | list + ['total_tokens'] %}
    {{ total(tokens) }} as {{ tokens }},
    {%- endfor %}
    {{ total_usd('cost_usd') }} as cost_usd,
    {{ count_if('cost_usd is null') }} as unpriced_calls,
    min(created_at) as first_call_at,
    max(created_at) as last_call_at
{%- endmacro %}

{#
    A query: the hours in which a usage window opens, as `opening_hour` (hours since 1970). A window opens with
    the full hour of the first call after the window before it, so each one hangs on the one before: a chain.

    Args:
        links: Relation of the hours with calls: `hour`, and `next_hour`, in which the next window would open if
            one opened in `hour`.
#}
{% macro opening_hours(links) -%}
    {{ adapter.dispatch('opening_hours')(links) }}
{%- endmacro %}

{% macro default__opening_hours(links) -%}
    with recursive chain as (
        select min(hour) as opening_hour
        from {{ links }}
        union all
        select links.next_hour
        from chain
        inner join {{ links }} as links on chain.opening_hour = links.hour
        where links.next_hour is not null
    )

    select opening_hour from chain
    where opening_hour is not null
{%- endmacro %}
