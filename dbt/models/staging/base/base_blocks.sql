{{ config(materialized='incremental', meta={'link_keys': {'tool_use_id': 'tool_use_id'}}) }}

{%- set line_paths = [
    'isSidechain', 'gitBranch', 'agentId', 'toolUseResult.filePath', 'toolUseResult.type',
    'toolUseResult.durationMs', 'toolUseResult.totalDurationMs', 'toolUseResult.interrupted',
] -%}
{#- The second half are spellings of older collections, which hold calls and results as documents of their own. -#}
{%- set block_paths = [
    'type', 'id', 'name', 'tool_use_id', 'is_error', 'input.file_path', 'input.notebook_path', 'input.path',
    'input.filePath', 'input.skill', 'input.subagent_type', 'input.edit_mode',
    'toolName', 'tool_name', 'toolUseId', 'isError',
] -%}
{%- set line_columns = [
    'line_id', 'session_id', 'line_type', 'written_at', 'date_key', 'is_sidechain', 'git_branch', 'agent_id',
    'changed_path', 'change_type', 'reported_duration_ms', 'is_interrupted', 'patch_lines_added',
    'patch_lines_removed', 'created_lines', 'result_place', 'is_entry',
] -%}

-- What macros write is laid out for them, not for this file.
-- noqa: disable=LT02, LT05
with documents as (
    {{ affected_documents() }}
),

read_lines as (
    select
        *,
        {{ json_fields('extra', line_paths) }} as line_fields,
        -- What the program did with a file stands beside the message, once: it belongs to the first result.
        case
            when type = 'tool_result' then 1
            when type = 'user' then {{ json_block_place('message_raw', 'tool_result') }}
        end as result_place
    from documents
    where message_raw is not null or type in ('tool_use', 'tool_result')
),

lines as (
    select
        _id as line_id,
        session_id,
        type as line_type,
        "timestamp" as written_at,
        coalesce({{ local_date('"timestamp"') }}, {{ local_date('ingested_at') }}, date) as date_key,
        message_raw,
        extra,
        {{ to_truth(json_field('line_fields', line_paths, 'isSidechain')) }} as is_sidechain,
        nullif({{ json_field('line_fields', line_paths, 'gitBranch') }}, '') as git_branch,
        {{ json_field('line_fields', line_paths, 'agentId') }} as agent_id,
        {{ json_field('line_fields', line_paths, 'toolUseResult.filePath') }} as changed_path,
        {{ json_field('line_fields', line_paths, 'toolUseResult.type') }} as change_type,
        coalesce(
            {{ to_integer(json_field('line_fields', line_paths, 'toolUseResult.durationMs')) }},
            {{ to_integer(json_field('line_fields', line_paths, 'toolUseResult.totalDurationMs')) }}
        ) as reported_duration_ms,
        {{ to_truth(json_field('line_fields', line_paths, 'toolUseResult.interrupted')) }} as is_interrupted,
        {%- for column, sign in {'patch_lines_added': '+', 'patch_lines_removed': '-'}.items() %}
        case
            when {{ json_field('line_fields', line_paths, 'toolUseResult.filePath') }} is not null
                then {{ json_patch_lines('extra', 'toolUseResult.structuredPatch', sign) }}
        end as {{ column }},
        {%- endfor %}
        -- A new file has no patch: all of its lines are added.
        case
            when {{ json_field('line_fields', line_paths, 'toolUseResult.type') }} = 'create'
                then {{ line_count(json_text('extra', 'toolUseResult.content')) }}
        end as created_lines,
        result_place,
        case
            when type in ('tool_use', 'tool_result')
                then {{ json_block_place('message_raw', 'tool_use') }} is null
                and {{ json_block_place('message_raw', 'tool_result') }} is null
            else false
        end as is_entry
    from read_lines
),

blocks as (
    {{ json_content_blocks('lines', 'message_raw', 'is_entry', line_columns, block_paths) }}
),

named_blocks as (
    select
        *,
        case when is_entry then line_type else block_type end as kind,
        coalesce(
            block_tool_use_id,
            block_tooluseid,
            block_id,
            case when coalesce(block_type, line_type) = 'tool_use' then line_id || ':' || block_index end
        ) as tool_use_id,
        coalesce(block_name, block_toolname, block_tool_name) as tool_name,
        coalesce(block_input_file_path, block_input_notebook_path, block_input_path, block_input_filepath)
            as file_path,
        {{ to_truth('coalesce(block_is_error, block_iserror)') }} as is_error
    from blocks
),

final as (
    select
        line_id,
        session_id,
        cast(block_index as bigint) as block_index,
        kind as block_type,
        written_at,
        date_key,
        is_sidechain,
        git_branch,
        agent_id,
        tool_use_id,
        tool_name,
        file_path,
        block_input_skill as called_skill,
        block_input_subagent_type as called_agent_type,
        block_input_edit_mode as edit_mode,
        is_error,
        case when kind = 'tool_result' then left(block_error_text, 2000) end as error_text,
        {%- for column in [
            'changed_path', 'change_type', 'reported_duration_ms', 'patch_lines_added', 'patch_lines_removed',
            'created_lines',
        ] %}
        case when block_index = result_place then {{ column }} end as {{ column }},
        {%- endfor %}
        coalesce(block_index = result_place and is_interrupted, false) as is_interrupted
    from named_blocks
    -- Nothing is asked of what was said or thought but its length, which the line has.
    where kind not in ('text', 'thinking', 'redacted_thinking')
)

select * from final
