{{ config(materialized='incremental') }}

with tool_calls as (
    select * from {{ ref('fct_tool_calls') }}
    where
        -- A tool that nobody has heard of yet may report that it changed a file.
        ({{ reads_files('tool_name') }} or {{ changes_files('tool_name') }} or lines_added + lines_removed > 0)
        and {{ is_affected() }}
),

named as (
    select
        *,
        {{ extract_match('file_path', '([^/]+)$') }} as file_name
    from tool_calls
),

with_extension as (
    select
        *,
        lower(coalesce(
            {{ extract_match('file_name', '[.]([A-Za-z0-9_]+)$') }},
            case when lower(file_name) in ('dockerfile', 'makefile') then file_name end
        )) as file_extension
    from named
),

final as (
    select
        {{ surrogate_key(['tool_call_key', "'file'"]) }} as operation_key,
        tool_call_key,
        tool_use_id,
        session_key,
        session_id,
        project_id,
        date_key,
        created_at,
        file_path,
        file_name,
        file_extension,
        {{ language_of('file_extension') }} as file_language,
        case
            when tool_name = 'Write' then 'write'
            when tool_name = 'MultiEdit' then 'multi_edit'
            when tool_name = 'NotebookEdit' then 'notebook'
            when {{ reads_files('tool_name') }} then 'read'
            else 'edit'
        end as operation_type,
        coalesce(change_type = 'create', false) as is_new_file,
        status,
        lines_added,
        lines_removed,
        git_branch,
        is_sidechain
    from with_extension
)

select * from final
