{{ config(materialized='incremental', meta={
    'link_keys': {'line_key': 'line_key', 'leaf_uuid': 'line_key', 'answer_name': 'answer_name'},
}) }}

{#- Columns that are taken from a line's fields as they are. -#}
{%- set line_columns = {
    'parent_uuid': 'parentUuid',
    'leaf_uuid': 'leafUuid',
    'forked_from_session_id': 'forkedFrom.sessionId',
    'working_folder': 'cwd',
    'client_version': 'version',
    'permission_mode': 'permissionMode',
    'skill': 'attributionSkill',
    'mcp_server': 'attributionMcpServer',
    'summary': 'summary',
    'custom_title': 'customTitle',
    'ai_title': 'aiTitle',
    'agent_name': 'agentName',
    'pull_request_url': 'prUrl',
    'pull_request_repository': 'prRepository',
} -%}
{#- Columns of the API's answer: the message of a line, or what a sub-agent's progress carries. -#}
{%- set answer_columns = {
    'message_id': 'id',
    'model': 'model',
    'stop_reason': 'stop_reason',
    'service_tier': 'usage.service_tier',
    'speed': 'usage.speed',
    'inference_geo': 'usage.inference_geo',
    'iterations': 'usage.iterations',
} -%}
{%- set counts = {
    'input_tokens': 'usage.input_tokens',
    'output_tokens': 'usage.output_tokens',
    'cache_write_tokens': 'usage.cache_creation_input_tokens',
    'cache_write_5m_tokens': 'usage.cache_creation.ephemeral_5m_input_tokens',
    'cache_write_1h_tokens': 'usage.cache_creation.ephemeral_1h_input_tokens',
    'cache_read_tokens': 'usage.cache_read_input_tokens',
    'web_search_requests': 'usage.server_tool_use.web_search_requests',
} -%}
{#- Further paths, for the rules below. -#}
{%- set line_paths = line_columns.values() | list + [
    'forkedFrom.messageUuid', 'isSidechain', 'isMeta', 'isCompactSummary', 'agentId', 'gitBranch', 'requestId', 'subtype',
    'origin.kind', 'promptSource', 'prNumber', 'data.type', 'data.message.type', 'data.message.requestId', 'data.agentId',
    'attachment.type', 'attachment.commandMode', 'attachment.origin.kind', 'attachment.isMeta',
] -%}
{%- set message_paths = answer_columns.values() | list + counts.values() | list + [
    'usage', 'usage.cache_creation', 'usage.server_tool_use', 'usage.output_tokens_details',
] -%}
{%- set progress_paths = [] -%}
{%- for path in message_paths -%}{%- do progress_paths.append('data.message.message.' ~ path) -%}{%- endfor -%}

-- What macros write is laid out for them, not for this file.
-- noqa: disable=LT02, LT05
with documents as (
    {{ affected_documents() }}
),

parsed as (
    select
        *,
        -- What users send has no usage, but the results of tools, which are long.
        {{ json_fields(
            "case when type <> 'user' or message_role = 'assistant' then message_raw end", message_paths
        ) }} as message_fields,
        {{ json_fields('extra', line_paths) }} as line_fields,
        -- Only progress lines carry the message of a sub-agent there; other lines need not be searched for it.
        {{ json_fields("case when type = 'progress' then extra end", progress_paths) }} as progress_fields,
        {{ json_block_place("case when type = 'user' then message_raw end", 'tool_result') }} is not null
            as has_tool_result
    from documents
),

flagged as (
    select
        *,
        -- The API's answer to a sub-agent, as its progress is shown in the caller's conversation.
        type = 'progress' and {{ json_field('line_fields', line_paths, 'data.message.type') }} = 'assistant'
            as is_agent_progress,
        -- What a person typed while the program was at work, which often no user line repeats.
        coalesce(
            {{ json_field('line_fields', line_paths, 'attachment.type') }} = 'queued_command'
            and {{ json_field('line_fields', line_paths, 'attachment.commandMode') }} = 'prompt'
            and not {{ to_truth(json_field('line_fields', line_paths, 'attachment.isMeta')) }},
            false
        ) as is_queued_prompt,
        coalesce(
            {{ json_field('line_fields', line_paths, 'origin.kind') }},
            {{ json_field('line_fields', line_paths, 'attachment.origin.kind') }}
        ) as origin_kind
    from parsed
),

answered as (
    select
        *,
        nullif(case
            when is_agent_progress then {{ json_field('line_fields', line_paths, 'data.message.requestId') }}
            else {{ json_field('line_fields', line_paths, 'requestId') }}
        end, '') as request_id,
        {%- for column, path in answer_columns.items() %}
        nullif(case
            when is_agent_progress then {{ json_field('progress_fields', progress_paths, 'data.message.message.' ~ path) }}
            else {{ json_field('message_fields', message_paths, path) }}
        end, '') as {{ column }},
        {%- endfor %}
        {%- for column, path in counts.items() %}
        case
            when is_agent_progress then {{ json_field('progress_fields', progress_paths, 'data.message.message.' ~ path) }}
            else {{ json_field('message_fields', message_paths, path) }}
        end as written_{{ column }}{{ ',' if not loop.last }}
        {%- endfor %}
    from flagged
),

final as (
    select
        _id as line_id,
        session_id,
        project_id as project_folder,
        type as line_type,
        written_at,
        ingested_at,
        source_version,
        coalesce({{ local_date('written_at') }}, {{ local_date('ingested_at') }}, date) as date_key,
        case when is_queued_prompt then 'user' else coalesce(message_role, type) end as role,
        case
            when is_queued_prompt then length({{ json_texts('extra', 'attachment.prompt') }})
            else content_length
        end as content_length,
        coalesce(message_content like '%```%', false) as has_code_block,
        -- Only where a person may have typed it.
        case
            when
                type = 'user'
                and not has_tool_result
                and not {{ to_truth(json_field('line_fields', line_paths, 'isMeta')) }}
                and not {{ to_truth(json_field('line_fields', line_paths, 'isSidechain')) }}
                and not {{ to_truth(json_field('line_fields', line_paths, 'isCompactSummary')) }}
                then {{ typed_text('message_content') }}
            when is_queued_prompt then {{ typed_text(json_texts('extra', 'attachment.prompt')) }}
        end as typed_text,
        has_tool_result,
        is_queued_prompt
        or (message_raw is not null and coalesce(message_role, type) in ('user', 'assistant') and type <> 'progress')
            as is_message,
        is_queued_prompt,
        -- What no person typed, though it looks like it: the SDK's prompts, schedules, other agents.
        not has_tool_result and coalesce(
            origin_kind <> 'human',
            {{ json_field('line_fields', line_paths, 'promptSource') }} in ('system', 'sdk'),
            false
        ) as is_automatic,
        is_agent_progress,
        uuid as line_uuid,
        {{ to_truth(json_field('line_fields', line_paths, 'isSidechain')) }} as is_sidechain,
        {{ to_truth(json_field('line_fields', line_paths, 'isMeta')) }} as is_meta,
        {{ to_truth(json_field('line_fields', line_paths, 'isCompactSummary')) }} as is_compact_summary,
        coalesce(
            {{ json_field('line_fields', line_paths, 'agentId') }},
            {{ json_field('line_fields', line_paths, 'data.agentId') }}
        ) as agent_id,
        nullif({{ json_field('line_fields', line_paths, 'gitBranch') }}, '') as git_branch,
        coalesce(
            {{ json_field('line_fields', line_paths, 'subtype') }},
            {{ json_field('line_fields', line_paths, 'attachment.type') }},
            {{ json_field('line_fields', line_paths, 'data.type') }}
        ) as line_subtype,
        origin_kind,
        {{ to_integer(json_field('line_fields', line_paths, 'prNumber')) }} as pull_request_number,
        -- Every field of the usage, so that new ones are seen.
        case when not is_agent_progress then {{ joined_keys({
            '': json_field('message_fields', message_paths, 'usage'),
            'cache_creation.': json_field('message_fields', message_paths, 'usage.cache_creation'),
            'server_tool_use.': json_field('message_fields', message_paths, 'usage.server_tool_use'),
            'output_tokens_details.': json_field('message_fields', message_paths, 'usage.output_tokens_details'),
        }) }} end as usage_fields,
        -- A fork may give the lines it copies new uuids, and name those they had. Without a uuid, a line is known
        -- by its time and content; without a time, each one is its own.
        case
            when {{ json_field('line_fields', line_paths, 'forkedFrom.messageUuid') }} is not null
                then {{ json_field('line_fields', line_paths, 'forkedFrom.messageUuid') }}
            when uuid is not null then uuid
            when written_at is not null then {{ surrogate_key([
                'session_id', 'type', instant_text('written_at'), 'message_raw', 'extra',
            ]) }}
            else _id
        end as line_key,
        {%- for column, path in line_columns.items() %}
        {{ json_field('line_fields', line_paths, path) }} as {{ column }},
        {%- endfor %}
        request_id,
        {%- for column in answer_columns if column != 'iterations' %}
        {{ column }},
        {%- endfor %}
        {{ answer_name('message_id', 'request_id') }} as answer_name,
        -- Nearly all answers were made in one go, and say nothing in it that the totals do not.
        case when iterations like '%advisor_message%' or iterations like '%fallback_message%' then iterations end
            as iterations,
        {%- for column in counts %}
        {{ to_count('written_' ~ column) }} as {{ column }},
        {%- endfor %}
        {%- for column in counts %}
        {{ '+ ' if not loop.first }}case
            when written_{{ column }} is not null and {{ to_count('written_' ~ column) }} is null then 1 else 0
        end
        {%- endfor %} as unreadable_counts
    from answered
)

select * from final
