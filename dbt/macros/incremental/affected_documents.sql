{#
    The documents of the affected conversations (all in a whole build), each with the conversation it belongs
    to: its own `sessionId`, or else the one its file is named after.

    In a partial build the conversations, and the files of lines that name none, are constants: only then does
    DuckDB read the JSON of the matching rows alone.
#}
{% macro affected_documents() %}
    {%- set columns -%}
        _id, type, project_id, "timestamp", ingested_at, message_role, message_content, message_raw,
        source_file, date, content_length, uuid, extra
    {%- endset -%}
    {%- set conversations = source('raw', 'conversations') -%}
    {%- if not is_incremental() -%}
    select
        {{ columns }},
        coalesce(session_id, {{ session_of_file('source_file') }}) as session_id
    from {{ conversations }}
    {%- else -%}
    {%- set sessions = text_list(build_plan().sessions) -%}
    {%- set files = run_query(
        'select distinct source_file from ' ~ conversations ~ ' where session_id is null and source_file is not null '
        ~ 'and ' ~ session_of_file('source_file') ~ ' in ' ~ sessions
    ).columns[0].values() | list -%}
    select {{ columns }}, session_id
    from {{ conversations }}
    where session_id in {{ sessions }}
    union all
    select {{ columns }}, {{ session_of_file('source_file') }} as session_id
    from {{ conversations }}
    where session_id is null and source_file in {{ text_list(files) }}
    {%- if 'unknown' in build_plan().sessions %}
    union all
    select {{ columns }}, 'unknown' as session_id
    from {{ conversations }}
    where session_id is null and source_file is null
    {%- endif -%}
    {%- endif -%}
{% endmacro %}
