-- A person's no is a decision: it is counted as a rejection and nowhere as an error.
select
    tools.tool_name,
    tools.errors,
    tools.rejections
from {{ ref('agg_tool_efficiency') }} as tools
where
    tools.total_calls <> tools.successes + tools.errors + tools.rejections + tools.unanswered
    or tools.results <> tools.successes + tools.errors + tools.rejections
    or tools.success_rate not between 0 and 1
    or tools.error_rate not between 0 and 1
    or tools.rejection_rate not between 0 and 1
