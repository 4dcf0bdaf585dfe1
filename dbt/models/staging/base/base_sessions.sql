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
                first_written_at,
                first_line_id
        ) as choice
    from working_folders
    where folder is not null
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

with_project as (
    select
        sessions.*,
        folders.folder as working_folder,
        coalesce({{ project_root('folders.folder') }}, sessions.project_folder, 'unknown') as project_id
    from sessions
    left join folders on sessions.session_id = folders.session_id and folders.choice = 1
)

select * from with_project
