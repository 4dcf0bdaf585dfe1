{{ config(materialized='incremental') }}

with lines as (
    select * from {{ ref('base_lines') }}
    where {{ is_affected() }}
),

working_folders as (
    select
        session_id,
        project_folder,
        {{ normal_path('working_folder') }} as folder,
        min(written_at) as first_written_at,
        min(line_id) as first_line_id
    from lines
    where working_folder is not null
    group by session_id, project_folder, working_folder
),

folders as (
    select
        session_id,
        folder,
        row_number() over (
            partition by session_id
            order by
                -- Claude Code names the log's folder after the one it was started in.
                case
                    when lower({{ replace_matches('folder', '[^A-Za-z0-9]', '-') }}) = lower(project_folder) then 0
                    else 1
                end,
                first_written_at nulls last,
                first_line_id
        ) as row_rank
    from working_folders
    where folder is not null
),

chosen_folders as (
    select * from folders
    where row_rank = 1
),

-- The first rule that fits says which part of a worktree's folder names its repository.
roots as (
    select
        chosen_folders.session_id,
        {{ replace_pattern('chosen_folders.folder', folder_pattern('rules.pattern'), 'rules.root') }} as root,
        row_number() over (partition by chosen_folders.session_id order by rules.position) as row_rank
    from chosen_folders
    inner join {{ ref('worktree_rules') }} as rules
        on {{ matches_pattern('chosen_folders.folder', folder_pattern('rules.pattern')) }}
),

sessions as (
    select
        session_id,
        min(project_folder) as project_folder,
        -- Files may hold nothing but summaries of other conversations: those are none.
        {{ any_true(
            "is_message or is_agent_progress or written_at is not null "
            ~ "or line_type in ('tool_use', 'tool_result')"
        ) }} as has_activity,
        min(written_at) as first_written_at,
        max(written_at) as last_written_at,
        min(date_key) as first_date_key,
        count(*) as line_count
    from lines
    group by session_id
),

with_root as (
    select
        sessions.*,
        chosen_folders.folder as working_folder,
        coalesce(roots.root, chosen_folders.folder, sessions.project_folder, 'unknown') as project_root
    from sessions
    left join chosen_folders on sessions.session_id = chosen_folders.session_id
    left join roots on sessions.session_id = roots.session_id and roots.row_rank = 1
),

with_project as (
    select
        session_id,
        project_folder,
        has_activity,
        first_written_at,
        last_written_at,
        first_date_key,
        line_count,
        working_folder,
        coalesce(
            {{ aliased_project('working_folder') }},
            {{ aliased_project('project_root') }},
            project_root
        ) as project_id
    from with_root
)

select * from with_project
