-- Each rule makes of its own example what it says, and no rule before it takes the example first.
with tried as (
    select
        examples.position,
        examples.example_root,
        {{ replace_pattern('examples.example_folder', folder_pattern('rules.pattern'), 'rules.root') }} as found_root,
        row_number() over (partition by examples.position order by rules.position) as row_rank
    from {{ ref('worktree_rules') }} as examples
    inner join {{ ref('worktree_rules') }} as rules
        on {{ matches_pattern('examples.example_folder', folder_pattern('rules.pattern')) }}
)

select rules.position
from {{ ref('worktree_rules') }} as rules
left join tried on rules.position = tried.position and tried.row_rank = 1
where tried.found_root is null or tried.found_root <> rules.example_root
