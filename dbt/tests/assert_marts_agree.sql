{%- set measures = {
    'cost_usd': {
        'fct_api_calls': 'cost_usd', 'dim_sessions': 'cost_usd', 'dim_projects': 'cost_usd', 'agg_daily_cost': 'cost_usd',
        'agg_daily_summary': 'cost_usd', 'agg_branch_cost': 'cost_usd', 'agg_monthly_cost': 'list_usd',
    },
    'api_calls': {
        'fct_api_calls': '1', 'dim_sessions': 'api_call_count', 'agg_daily_cost': 'api_calls',
        'agg_daily_summary': 'api_calls', 'agg_branch_cost': 'api_calls',
    },
    'total_tokens': {
        'fct_api_calls': 'total_tokens', 'dim_sessions': 'total_tokens', 'agg_daily_cost': 'total_tokens',
        'agg_daily_summary': 'total_tokens', 'agg_branch_cost': 'total_tokens',
    },
    'cache_write_tokens': {
        'fct_api_calls': 'cache_write_5m_tokens + cache_write_1h_tokens',
        'dim_sessions': 'cache_write_5m_tokens + cache_write_1h_tokens',
    },
    'progress_tokens': {'fct_progress_api_calls': 'total_tokens', 'agg_daily_cost': 'progress_tokens'},
    'messages': {'fct_messages': '1', 'dim_sessions': 'message_count', 'agg_daily_summary': 'messages'},
    'tool_calls': {
        'fct_tool_calls': '1', 'dim_sessions': 'tool_call_count', 'dim_tools': 'total_usage',
        'agg_tool_efficiency': 'total_calls', 'agg_daily_summary': 'tool_calls',
    },
    'changed_lines': {
        'fct_tool_calls': 'lines_added + lines_removed', 'fct_file_operations': 'lines_added + lines_removed',
        'dim_sessions': 'lines_added + lines_removed', 'agg_code_changes': 'lines_added + lines_removed',
        'agg_daily_summary': 'lines_added + lines_removed',
    },
    'active_seconds': {
        'fct_active_hours': 'active_seconds', 'dim_sessions': 'active_seconds', 'agg_daily_summary': 'active_seconds',
        'agg_hourly_activity': 'active_seconds',
    },
} -%}
-- What macros write is laid out for them, not for this file.
-- noqa: disable=LT02
-- Facts, conversations and every aggregate have the same totals: each call, message, line and second counts once.
with totals as (
    {%- for measure, origins in measures.items() %}
    {%- set outer_loop = loop %}
    {%- for origin, expression in origins.items() %}
    select
        '{{ measure }}' as measure,
        '{{ origin }}' as origin,
        coalesce(cast(sum({{ expression }}) as {{ double_type() }}), 0) as total
    from {{ ref(origin) }}
    {{ 'union all' if not (outer_loop.last and loop.last) }}
    {%- endfor %}
    {%- endfor %}
),

compared as (
    select
        *,
        max(total) over (partition by measure) as highest,
        min(total) over (partition by measure) as lowest
    from totals
)

select
    measure,
    origin,
    total
from compared
-- Fractions that are added up in another order end in another last digit.
where highest - lowest > 0.000000001 * greatest(1, highest)
