{{ config(severity='warn') }}

-- A newer Claude Code writes something that no model reads; its first version says which.
select
    kind,
    name,
    occurrences,
    first_version
from {{ ref('agg_unknown_kinds') }}
where kind <> 'tool'
