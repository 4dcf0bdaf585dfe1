{{ config(materialized='incremental', meta={
    'link_keys': {'line_key': 'line_key', 'leaf_uuid': 'line_key', 'message_id': 'message_id'},
}) }}

{%- set message_paths = [
    'id', 'model', 'stop_reason', 'usage.input_tokens', 'usage.output_tokens',
    'usage.cache_creation_input_tokens', 'usage.cache_read_input_tokens',
    'usage.cache_creation.ephemeral_5m_input_tokens', 'usage.cache_creation.ephemeral_1h_input_tokens',
    'usage.service_tier', 'usage.speed', 'usage.server_tool_use.web_search_requests',
    'usage', 'usage.cache_creation', 'usage.server_tool_use', 'usage.output_tokens_details',
] -%}
{%- set progress_paths = [] -%}
{%- for path in message_paths -%}{%- do progress_paths.append('data.message.message.' ~ path) -%}{%- endfor -%}
{%- set line_paths = [
    'leafUuid', 'forkedFrom.sessionId', 'isSidechain', 'isMeta', 'isCompactSummary', 'agentId',
    'cwd', 'gitBranch', 'version', 'permissionMode', 'requestId', 'subtype',
    'attributionSkill', 'attributionMcpServer', 'origin.kind', 'summary', 'customTitle', 'aiTitle', 'agentName',
    'prNumber', 'prUrl', 'prRepository', 'data.type', 'data.message.type', 'data.message.requestId',
    'data.agentId',
    'promptSource', 'attachment.type', 'attachment.commandMode', 'attachment.origin.kind', 'attachment.isMeta',
] -%}
{%- set extra_paths = line_paths -%}

-- What macros write is laid out for them, not for this file.
-- noqa: disable=LT02, LT05
with documents as (
    {{ affected_documents() }}
),

parsed as (
    select
        *,
        -- What users send has no usage, but the results of tools, which are long.
        {{ json_fields("case when type <> 'user' then message_raw end", message_paths) }} as message_fields,
        {{ json_fields('extra', extra_paths) }} as extra_fields,
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
        type = 'progress' and {{ json_field('extra_fields', extra_paths, 'data.message.type') }} = 'assistant'
            as is_agent_progress,
        -- What a person typed while the program was at work, which often no user line repeats.
        coalesce(
            {{ json_field('extra_fields', extra_paths, 'attachment.type') }} = 'queued_command'
            and {{ json_field('extra_fields', extra_paths, 'attachment.commandMode') }} = 'prompt'
            and not {{ to_truth(json_field('extra_fields', extra_paths, 'attachment.isMeta')) }},
            false
        ) as is_queued_prompt,
        coalesce(
            {{ json_field('extra_fields', extra_paths, 'origin.kind') }},
            {{ json_field('extra_fields', extra_paths, 'attachment.origin.kind') }}
        ) as origin_kind
    from parsed
),

named as (
    select
        _id as line_id,
        session_id,
        project_id as project_folder,
        type as line_type,
        "timestamp" as written_at,
        ingested_at,
        coalesce({{ local_date('"timestamp"') }}, {{ local_date('ingested_at') }}, date) as date_key,
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
                and not {{ to_truth(json_field('extra_fields', extra_paths, 'isMeta')) }}
                and not {{ to_truth(json_field('extra_fields', extra_paths, 'isSidechain')) }}
                and not {{ to_truth(json_field('extra_fields', extra_paths, 'isCompactSummary')) }}
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
            {{ json_field('extra_fields', extra_paths, 'promptSource') }} in ('system', 'sdk'),
            false
        ) as is_automatic,
        is_agent_progress,
        {{ json_field('extra_fields', extra_paths, 'leafUuid') }} as leaf_uuid,
        {{ json_field('extra_fields', extra_paths, 'forkedFrom.sessionId') }} as forked_from_session_id,
        {{ to_truth(json_field('extra_fields', extra_paths, 'isSidechain')) }} as is_sidechain,
        {{ to_truth(json_field('extra_fields', extra_paths, 'isMeta')) }} as is_meta,
        {{ to_truth(json_field('extra_fields', extra_paths, 'isCompactSummary')) }} as is_compact_summary,
        coalesce(
            {{ json_field('extra_fields', extra_paths, 'agentId') }},
            {{ json_field('extra_fields', extra_paths, 'data.agentId') }}
        ) as agent_id,
        {{ json_field('extra_fields', extra_paths, 'cwd') }} as working_folder,
        nullif({{ json_field('extra_fields', extra_paths, 'gitBranch') }}, '') as git_branch,
        {{ json_field('extra_fields', extra_paths, 'version') }} as client_version,
        {{ json_field('extra_fields', extra_paths, 'permissionMode') }} as permission_mode,
        coalesce(
            {{ json_field('extra_fields', extra_paths, 'subtype') }},
            {{ json_field('extra_fields', extra_paths, 'attachment.type') }},
            {{ json_field('extra_fields', extra_paths, 'data.type') }}
        ) as line_subtype,
        {{ json_field('extra_fields', extra_paths, 'attributionSkill') }} as skill,
        {{ json_field('extra_fields', extra_paths, 'attributionMcpServer') }} as mcp_server,
        origin_kind,
        {{ json_field('extra_fields', extra_paths, 'summary') }} as summary,
        {{ json_field('extra_fields', extra_paths, 'customTitle') }} as custom_title,
        {{ json_field('extra_fields', extra_paths, 'aiTitle') }} as ai_title,
        {{ json_field('extra_fields', extra_paths, 'agentName') }} as agent_name,
        {{ to_integer(json_field('extra_fields', extra_paths, 'prNumber')) }} as pull_request_number,
        {{ json_field('extra_fields', extra_paths, 'prUrl') }} as pull_request_url,
        {{ json_field('extra_fields', extra_paths, 'prRepository') }} as pull_request_repository,
        case
            when is_agent_progress then {{ json_field('extra_fields', extra_paths, 'data.message.requestId') }}
            else {{ json_field('extra_fields', extra_paths, 'requestId') }}
        end as request_id,
        {%- set names = {
            'message_id': 'id', 'model': 'model', 'stop_reason': 'stop_reason', 'service_tier': 'usage.service_tier',
            'speed': 'usage.speed',
        } %}
        {%- for name, path in names.items() %}
        case
            when is_agent_progress then {{ json_field('progress_fields', progress_paths, 'data.message.message.' ~ path) }}
            else {{ json_field('message_fields', message_paths, path) }}
        end as {{ name }},
        {%- endfor %}
        {%- set counts = {
            'input_tokens': 'usage.input_tokens',
            'output_tokens': 'usage.output_tokens',
            'cache_write_tokens': 'usage.cache_creation_input_tokens',
            'cache_write_5m_tokens': 'usage.cache_creation.ephemeral_5m_input_tokens',
            'cache_write_1h_tokens': 'usage.cache_creation.ephemeral_1h_input_tokens',
            'cache_read_tokens': 'usage.cache_read_input_tokens',
            'web_search_requests': 'usage.server_tool_use.web_search_requests',
        } %}
        {%- for name, path in counts.items() %}
        {{ to_count(
            'case when is_agent_progress then '
            ~ json_field('progress_fields', progress_paths, 'data.message.message.' ~ path)
            ~ ' else ' ~ json_field('message_fields', message_paths, path) ~ ' end'
        ) }} as {{ name }},
        {%- endfor %}
        -- Every field of the usage, so that new ones are seen.
        case when not is_agent_progress then {{ joined_keys({
            '': json_field('message_fields', message_paths, 'usage'),
            'cache_creation.': json_field('message_fields', message_paths, 'usage.cache_creation'),
            'server_tool_use.': json_field('message_fields', message_paths, 'usage.server_tool_use'),
            'output_tokens_details.': json_field('message_fields', message_paths, 'usage.output_tokens_details'),
        }) }} end as usage_fields,
        -- Without a uuid, a line is known by its time and content; without a time, each one is its own.
        case
            when uuid is not null then uuid
            when "timestamp" is not null then {{ surrogate_key([
                'session_id', 'type', '"timestamp"', 'message_raw', 'extra',
            ]) }}
            else _id
        end as line_key
    from flagged
)

select * from named
