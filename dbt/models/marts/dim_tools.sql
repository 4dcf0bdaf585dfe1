-- From the data: a tool that nobody has heard of yet appears here, too.
with tool_calls as (
    select * from {{ ref('fct_tool_calls') }}
),

tools as (
    select
        tool_name,
        min(tool_category) as tool_category,
        min(mcp_server) as mcp_server,
        min(mcp_tool) as mcp_tool,
        count(*) as total_usage,
        min(created_at) as first_used_at,
        max(created_at) as last_used_at
    from tool_calls
    group by tool_name
),

categories as (
    select * from {{ ref('tool_categories') }}
),

final as (
    select
        {{ surrogate_key(['tools.tool_name']) }} as tool_key,
        tools.tool_name,
        tools.tool_category,
        coalesce(categories.waits_for_human, false) as waits_for_human,
        tools.mcp_server,
        tools.mcp_tool,
        tools.total_usage,
        tools.first_used_at,
        tools.last_used_at
    from tools
    left join categories on tools.tool_name = categories.tool_name
)

select * from final
