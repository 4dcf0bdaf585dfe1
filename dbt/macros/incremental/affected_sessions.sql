{#
    The conversations that inputs have changed since they were last seen, as a list; none if there are too many
    for it to be worthwhile.

    Models put them into their SQL as constants on purpose: DuckDB pushes a constant list down through views,
    windows and aggregates to the scan of the table, and reads the wide columns of matching rows only. A
    subquery is not pushed down (measured: 0.45 s instead of 0.02 s for 100,000 lines with their JSON).
#}
{% macro changed_sessions(inputs) %}
    {%- set changes = [] -%}
    {%- for input in inputs -%}
        {%- if input.name == 'raw' and input.sequence > input.seen -%}
            {%- do changes.append(
                "select coalesce(session_id, " ~ session_of_file('source_file') ~ ") as session_id from "
                ~ source('raw', 'changed_lines') ~ " where load_id > " ~ input.seen
            ) -%}
        {%- elif input.sequence > input.seen -%}
            {%- do changes.append(
                "select session_id from ops.model_changes where model = '" ~ input.name
                ~ "' and sequence > " ~ input.seen
            ) -%}
        {%- endif -%}
    {%- endfor -%}
    {%- if not changes -%}{% do return([]) %}{%- endif -%}
    {%- set limit = var('affected_sessions_limit') -%}
    {%- set sessions = run_query(
        "select distinct session_id from (" ~ changes | join(' union all ') ~ ") as changes limit " ~ (limit + 1)
    ).columns[0].values() | list -%}
    {% do return(sessions if sessions | length <= limit else none) %}
{% endmacro %}

{# A list of SQL text constants; one that nothing equals if there are none. #}
{% macro text_list(values) -%}
    (
    {%- for value in values -%}
        '{{ value | replace("'", "''") }}'{{ ', ' if not loop.last }}
    {%- else -%}
        null
    {%- endfor -%}
    )
{%- endmacro %}

{# The condition that keeps a model to the conversations to rebuild; true in a whole build. #}
{% macro is_affected(column='session_id') -%}
    {%- if is_incremental() -%}{{ column }} in {{ text_list(build_plan().sessions) }}{%- else -%}true{%- endif -%}
{%- endmacro %}

{#
    The incremental strategy `by_session`: replaces all rows of the affected conversations and notes which they
    were. A model with `meta: {link_keys: [...]}` also notes every conversation that shares a value of those
    columns with them, before or after the change: copied lines and API calls reach beyond one conversation.
#}
{% macro get_incremental_by_session_sql(arg_dict) %}
    {%- set plan = build_plan() -%}
    {%- set target_table = arg_dict['target_relation'] -%}
    {%- set new_rows = arg_dict['temp_relation'] -%}
    {%- set columns = arg_dict['dest_columns'] | map(attribute='quoted') | join(', ') -%}
    {%- set sessions = plan.sessions -%}
    {%- set link_keys = config.get('meta', {}).get('link_keys', []) -%}
    {%- if sessions %}
    insert into ops.model_changes
    {% if link_keys -%}
    with affected as (
        {% for session in sessions -%}
        select '{{ session | replace("'", "''") }}' as session_id {{ 'union all' if not loop.last }}
        {% endfor %}
    ),
    link_values as (
        {% for key in link_keys -%}
        select {{ key }} as link from {{ target_table }} where session_id in {{ text_list(sessions) }} union
        select {{ key }} as link from {{ new_rows }} {{ 'union' if not loop.last }}
        {% endfor %}
    )
    select '{{ model.name }}', {{ plan.sequence }}, session_id from affected
    {% for key in link_keys -%}
    union
    select '{{ model.name }}', {{ plan.sequence }}, session_id from {{ target_table }}
    where {{ key }} in (select link from link_values where link is not null)
    {% endfor -%}
    {%- else -%}
    values
        {% for session in sessions -%}
        ('{{ model.name }}', {{ plan.sequence }}, '{{ session | replace("'", "''") }}') {{- ', ' if not loop.last }}
        {% endfor -%}
    {%- endif %};
    delete from {{ target_table }} where session_id in {{ text_list(sessions) }};
    insert into {{ target_table }} ({{ columns }}) select {{ columns }} from {{ new_rows }};
    {%- else %}
    select 1
    {%- endif %}
{% endmacro %}
