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
    the full hour of the first call after the window before it, so each one hangs on the one before: a chain. After a
    silence that is longer than a window one opens whatever came before: chains are as short as work without a night.

    Args:
        links: Relation of the hours with calls: `hour`, and `next_hour`, in which the next window would open if
            one opened in `hour`; `last_hour`, the hour with calls before.
#}
{% macro opening_hours(links) -%}
    {{ adapter.dispatch('opening_hours')(links) }}
{%- endmacro %}

{% macro default__opening_hours(links) -%}
    with recursive chain as (
        select hour as opening_hour
        from {{ links }}
        where last_hour is null or last_hour + 5 < hour
        union all
        select links.next_hour
        from chain
        inner join {{ links }} as links on chain.opening_hour = links.hour
        inner join {{ links }} as openings on links.next_hour = openings.hour
        where openings.last_hour + 5 >= openings.hour
    )

    select opening_hour from chain
{%- endmacro %}
