-- New tools come with new versions of Claude Code; `seeds/tool_categories.csv` should know them.
{{ config(severity='warn') }}

select
    tool_name,
    total_usage
from {{ ref('dim_tools') }}
where tool_category = 'uncategorised'
