{{ config(materialized='incremental') }}

{%- set line_paths = [
    'isSidechain', 'gitBranch', 'agentId', 'requestId', 'toolUseResult.filePath', 'toolUseResult.type',
    'toolUseResult.durationMs', 'toolUseResult.totalDurationMs', 'toolUseResult.interrupted',
    'toolUseResult.notebook_path', 'toolUseResult.new_source', 'toolUseResult.searchCount',
] -%}
{#- The second half are spellings of older collections, which hold calls and results as documents of their own. -#}
{%- set block_paths = [
    'type', 'id', 'name', 'tool_use_id', 'is_error', 'input.file_path', 'input.notebook_path', 'input.path',
    'input.filePath', 'input.skill', 'input.subagent_type', 'input.edit_mode', 'input.new_source',
    'toolName', 'tool_name', 'toolUseId', 'isError',
] -%}
{%- set line_columns = [
    'line_id', 'session_id', 'line_type', 'written_at', 'date_key', 'source_version', 'is_sidechain', 'git_branch',
    'agent_id', 'message_id', 'request_id', 'changed_path', 'change_type', 'reported_duration_ms',
    'is_interrupted', 'patch_lines_added', 'patch_lines_removed', 'created_lines', 'notebook_lines',
    'web_search_requests', 'is_entry',
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
        case
            when type in ('tool_use', 'tool_result')
                then {{ json_block_place('message_raw', 'tool_use') }} is null
                and {{ json_block_place('message_raw', 'tool_result') }} is null
            else false
        end as is_entry
    from documents
    where
        type in ('tool_use', 'tool_result')
        or (
            message_raw is not null
            and type <> 'progress'
            and coalesce(message_role, type) in ('user', 'assistant')
        )
),

lines as (
    select
        _id as line_id,
        session_id,
        type as line_type,
        written_at,
        coalesce({{ local_date('written_at') }}, {{ local_date('ingested_at') }}, date) as date_key,
        source_version,
        message_raw,
        extra,
        nullif({{ json_text(
            "case when (type <> 'user' or message_role = 'assistant') and not is_entry then message_raw end", 'id'
        ) }}, '')
            as message_id,
        nullif({{ json_field('line_fields', line_paths, 'requestId') }}, '') as request_id,
        {{ to_truth(json_field('line_fields', line_paths, 'isSidechain')) }} as is_sidechain,
        nullif({{ json_field('line_fields', line_paths, 'gitBranch') }}, '') as git_branch,
        {{ json_field('line_fields', line_paths, 'agentId') }} as agent_id,
        coalesce(
            {{ json_field('line_fields', line_paths, 'toolUseResult.filePath') }},
            {{ json_field('line_fields', line_paths, 'toolUseResult.notebook_path') }}
        ) as changed_path,
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
        {{ line_count(json_field('line_fields', line_paths, 'toolUseResult.new_source')) }} as notebook_lines,
        {{ to_count(json_field('line_fields', line_paths, 'toolUseResult.searchCount')) }} as web_search_requests,
        is_entry
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
        source_version,
        is_sidechain,
        git_branch,
        agent_id,
        message_id,
        {{ answer_name('message_id', 'request_id') }} as answer_name,
        tool_use_id,
        -- Where ids are no identity, calls differ by what they ask for.
        case when kind = 'tool_use' and tool_use_id not like 'toolu|_%' escape '|' then md5(block_input_text) end
            as input_digest,
        tool_name,
        file_path,
        block_input_skill as called_skill,
        block_input_subagent_type as called_agent_type,
        block_input_edit_mode as edit_mode,
        {{ line_count('block_input_new_source') }} as asked_lines,
        is_error,
        case when kind = 'tool_result' then left(block_error_text, 2000) end as error_text,
        -- What the program did stands beside the message, once for all results of a line.
        {%- for column in [
            'changed_path', 'change_type', 'reported_duration_ms', 'patch_lines_added', 'patch_lines_removed',
            'created_lines', 'notebook_lines', 'web_search_requests',
        ] %}
        case when kind = 'tool_result' then {{ column }} end as {{ column }},
        {%- endfor %}
        kind = 'tool_result' and is_interrupted as is_interrupted
    from named_blocks
    -- Nothing is asked of what was said or thought but its length, which the line has.
    where kind not in ('text', 'thinking', 'redacted_thinking')
)

select * from final
