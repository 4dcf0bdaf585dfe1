{{ config(materialized='incremental') }}

with tool_calls as (
    select * from {{ ref('fct_tool_calls') }}
    where
        tool_name in ('Read', 'NotebookRead', 'Write', 'Edit', 'MultiEdit', 'NotebookEdit')
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
        {{ surrogate_key(['tool_use_id', "'file'"]) }} as operation_key,
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
        case tool_name
            when 'Write' then 'write'
            when 'Edit' then 'edit'
            when 'MultiEdit' then 'multi_edit'
            when 'NotebookEdit' then 'notebook'
            else 'read'
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
