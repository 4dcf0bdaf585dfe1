{{ config(materialized='incremental', meta={'link_keys': ['tool_use_id']}) }}

{%- set block_paths = [
    'type', 'id', 'name', 'tool_use_id', 'is_error', 'input.file_path', 'input.notebook_path', 'input.path',
    'input.filePath', 'input.skill', 'input.subagent_type', 'input.edit_mode',
] -%}
{%- set line_paths = [
    'isSidechain', 'gitBranch', 'agentId', 'toolUseResult.filePath', 'toolUseResult.type',
    'toolUseResult.durationMs', 'toolUseResult.totalDurationMs', 'toolUseResult.interrupted',
] -%}
{#- Older collections hold calls and results as documents of their own, in one of several spellings. -#}
{%- set entry_paths = [
    'id', 'name', 'tool_use_id', 'toolUseId', 'toolUseID', 'toolName', 'tool_name', 'is_error', 'isError',
    'content', 'input.file_path', 'input.notebook_path', 'input.path', 'input.skill', 'input.subagent_type',
    'input.edit_mode',
] -%}

with documents as (
    {{ affected_documents() }}
),

read_lines as (
    select
        *,
        {{ json_fields('extra', line_paths) }} as line_fields
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
        {{ to_truth(json_field('line_fields', line_paths, 'toolUseResult.interrupted')) }} as is_interrupted
    from read_lines
),

read_blocks as (
    select
        lines.*,
        blocks.block,
        blocks.block_index,
        {{ json_fields('blocks.block', block_paths) }} as block_fields
    from lines
    cross join lateral {{ json_content_blocks('lines.message_raw') }}
),

blocks as (
    select
        *,
        {{ json_field('block_fields', block_paths, 'type') }} as block_type,
        {{ json_field('block_fields', block_paths, 'name') }} as tool_name,
        coalesce(
            {{ json_field('block_fields', block_paths, 'tool_use_id') }},
            {{ json_field('block_fields', block_paths, 'id') }}
        ) as tool_use_id,
        {{ to_truth(json_field('block_fields', block_paths, 'is_error')) }} as is_error,
        coalesce(
            {{ json_field('block_fields', block_paths, 'input.file_path') }},
            {{ json_field('block_fields', block_paths, 'input.notebook_path') }},
            {{ json_field('block_fields', block_paths, 'input.path') }},
            {{ json_field('block_fields', block_paths, 'input.filePath') }}
        ) as file_path,
        {{ json_field('block_fields', block_paths, 'input.skill') }} as called_skill,
        {{ json_field('block_fields', block_paths, 'input.subagent_type') }} as called_agent_type,
        {{ json_field('block_fields', block_paths, 'input.edit_mode') }} as edit_mode
    from read_blocks
),

described_blocks as (
    select
        *,
        case
            when block_type = 'tool_result' and is_error
                then left(coalesce(
                    {{ json_text('block', 'content[0].text') }},
                    {{ json_text('block', 'content') }}
                ), 2000)
        end as error_text
    from blocks
),

-- What the program did with a file stands beside the message, once per line: it belongs to the first result.
measured_blocks as (
    select
        *,
        block_type = 'tool_result'
        and block_index = min(case when block_type = 'tool_result' then block_index end)
            over (partition by line_id) as has_line_result
    from described_blocks
),

read_entries as (
    select
        *,
        {{ json_fields('message_raw', entry_paths) }} as message_fields,
        {{ json_fields('extra', entry_paths) }} as extra_fields
    from lines
    where
        line_type in ('tool_use', 'tool_result')
        and line_id not in (select line_id from blocks where block_type in ('tool_use', 'tool_result'))
),

entries as (
    select
        *,
        {%- for name, paths in {
            'tool_name': ['name', 'toolName', 'tool_name'],
            'named_call_id': ['tool_use_id', 'toolUseId', 'toolUseID', 'id'],
            'error_flag': ['is_error', 'isError'],
            'file_path': ['input.file_path', 'input.notebook_path', 'input.path'],
            'called_skill': ['input.skill'],
            'called_agent_type': ['input.subagent_type'],
            'edit_mode': ['input.edit_mode'],
            'content': ['content'],
        }.items() %}
        coalesce(
            {%- for path in paths %}
            {{ json_field('message_fields', entry_paths, path) }},
            {{ json_field('extra_fields', entry_paths, path) }}{{ ',' if not loop.last }}
            {%- endfor %}
        ) as {{ name }}{{ ',' if not loop.last }}
        {%- endfor %}
    from read_entries
),

all_blocks as (
    select
        line_id,
        session_id,
        cast(block_index as bigint) as block_index,
        block_type,
        written_at,
        date_key,
        is_sidechain,
        git_branch,
        agent_id,
        tool_use_id,
        tool_name,
        file_path,
        called_skill,
        called_agent_type,
        edit_mode,
        is_error,
        error_text,
        case when has_line_result then changed_path end as changed_path,
        case when has_line_result then change_type end as change_type,
        case when has_line_result then reported_duration_ms end as reported_duration_ms,
        has_line_result and is_interrupted as is_interrupted,
        case when has_line_result then {{ json_patch_lines('extra', 'toolUseResult.structuredPatch', '+') }} end
            as patch_lines_added,
        case when has_line_result then {{ json_patch_lines('extra', 'toolUseResult.structuredPatch', '-') }} end
            as patch_lines_removed,
        -- A new file has no patch: all of its lines are added.
        case
            when has_line_result and change_type = 'create'
                then {{ line_count(json_text('extra', 'toolUseResult.content')) }}
        end as created_lines
    from measured_blocks
    where block_type is not null

    union all

    select
        line_id,
        session_id,
        cast(1 as bigint) as block_index,
        line_type as block_type,
        written_at,
        date_key,
        is_sidechain,
        git_branch,
        agent_id,
        named_call_id as tool_use_id,
        tool_name,
        file_path,
        called_skill,
        called_agent_type,
        edit_mode,
        {{ to_truth('error_flag') }} as is_error,
        case when {{ to_truth('error_flag') }} then left(content, 2000) end as error_text,
        changed_path,
        change_type,
        reported_duration_ms,
        is_interrupted,
        {{ json_patch_lines('extra', 'toolUseResult.structuredPatch', '+') }} as patch_lines_added,
        {{ json_patch_lines('extra', 'toolUseResult.structuredPatch', '-') }} as patch_lines_removed,
        case when change_type = 'create' then {{ line_count(json_text('extra', 'toolUseResult.content')) }} end
            as created_lines
    from entries
)

select * from all_blocks
