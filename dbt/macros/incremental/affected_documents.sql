{#
    The documents of the affected conversations (all in a whole build), each with the conversation it belongs
    to: its own `sessionId`, or else the one its file is named after.

    In a partial build the conversations, and the files of lines that name none, are constants, so that only the
    JSON of matching rows is read.
#}
{% macro affected_documents() %}
    {%- set columns -%}
        _id, type, project_id, {{ adapter.quote('timestamp') }} as written_at, ingested_at, message_role, message_content, message_raw,
        source_file, date, content_length, uuid, extra, source_version
    {%- endset -%}
    {%- set conversations = source('raw', 'conversations') -%}
    {%- if not is_incremental() -%}
    select
        {{ columns }},
        coalesce(session_id, {{ session_of_file('source_file') }}) as session_id
    from {{ conversations }}
    {%- else -%}
    {%- set sessions = build_plan().sessions -%}
    {%- set files = run_query(
        'select distinct source_file from ' ~ conversations ~ ' where session_id is null and source_file is not null '
        ~ 'and ' ~ is_one_of(session_of_file('source_file'), sessions)
    ).columns[0].values() | list -%}
    select {{ columns }}, session_id
    from {{ conversations }}
    where {{ is_one_of('session_id', sessions) }}
    union all
    select {{ columns }}, {{ session_of_file('source_file') }} as session_id
    from {{ conversations }}
    where session_id is null and {{ is_one_of('source_file', files) }}
    {%- if 'unknown' in build_plan().sessions %}
    union all
    select {{ columns }}, 'unknown' as session_id
    from {{ conversations }}
    where session_id is null and source_file is null
    {%- endif -%}
    {%- endif -%}
{% endmacro %}
