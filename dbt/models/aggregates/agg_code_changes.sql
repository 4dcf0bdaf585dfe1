with operations as (
    select
        *,
        coalesce(file_language, 'Other') as language
    from {{ ref('fct_file_operations') }}
    where operation_type <> 'read'
),

final as (
    select
        {{ surrogate_key(['date_key', 'project_id', 'language']) }} as code_change_key,
        date_key,
        project_id,
        language,
        count(*) as operations,
        {{ count_if("status = 'error'") }} as failed_operations,
        count(distinct case when status = 'success' then file_path end) as files_changed,
        {{ count_if('is_new_file') }} as files_created,
        {{ total('lines_added') }} as lines_added,
        {{ total('lines_removed') }} as lines_removed,
        {{ total('lines_added') }} - {{ total('lines_removed') }} as net_lines
    from operations
    group by date_key, project_id, language
)

select * from final
