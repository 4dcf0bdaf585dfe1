{#
    JSON access, the one thing every engine spells differently.

    `json_fields(column, paths)` reads a document once for many paths; `json_field(fields, paths, path)` then
    gives one of them as text. A path is dotted (`usage.input_tokens`); no key of ours holds a dot. What is
    missing, null or of another shape is null, and text that is no JSON at all gives only nulls.
#}
{% macro json_fields(column, paths) -%}
    {{ adapter.dispatch('json_fields')(column, paths) }}
{%- endmacro %}

{% macro duckdb__json_fields(column, paths) -%}
    try(json_extract_string({{ column }}, [
        {%- for path in paths %}'$.{{ path }}'{{ ', ' if not loop.last }}{% endfor -%}
    ]))
{%- endmacro %}

{% macro default__json_fields(column, paths) -%}
    case when {{ column }} is json then cast({{ column }} as jsonb) end
{%- endmacro %}

{% macro json_field(fields, paths, path) -%}
    {{ adapter.dispatch('json_field')(fields, paths, path) }}
{%- endmacro %}

{% macro duckdb__json_field(fields, paths, path) -%}
    {%- if path not in paths -%}
        {{ exceptions.raise_compiler_error('`' ~ path ~ '` is not among the paths read from ' ~ fields) }}
    {%- endif -%}
    {{ fields }}[{{ paths.index(path) + 1 }}]
{%- endmacro %}

{% macro default__json_field(fields, paths, path) -%}
    ({{ fields }} #>> '{ {{- path.replace('.', ',').replace('[', '').replace(']', '') -}} }')
{%- endmacro %}

{# One value as text. For many values of one document use `json_fields`. #}
{% macro json_text(column, path) -%}
    {{ adapter.dispatch('json_text')(column, path) }}
{%- endmacro %}

{% macro duckdb__json_text(column, path) -%}
    try(json_extract_string({{ column }}, '$.{{ path }}'))
{%- endmacro %}

{% macro default__json_text(column, path) -%}
    (cast({{ column }} as jsonb) #>> '{ {{- path.replace('.', ',') -}} }')
{%- endmacro %}

{#
    A lateral table `blocks(block, block_index)`: the content blocks of a message, which is an object with a
    list `content`, or is the list itself; no rows for anything else.
#}
{% macro json_content_blocks(column) -%}
    {{ adapter.dispatch('json_content_blocks')(column) }}
{%- endmacro %}

{% macro duckdb__json_content_blocks(column) -%}
    unnest(
        coalesce(try(json_extract({{ column }}, '$.content[*]')), [])
        || coalesce(try(json_extract({{ column }}, '$[*]')), [])
    ) with ordinality as blocks (block, block_index)
{%- endmacro %}

{% macro default__json_content_blocks(column) -%}
    jsonb_array_elements(
        case
            when {{ column }} is not json then '[]'::jsonb
            when jsonb_typeof(cast({{ column }} as jsonb)) = 'array' then cast({{ column }} as jsonb)
            when jsonb_typeof(cast({{ column }} as jsonb) -> 'content') = 'array'
                then cast({{ column }} as jsonb) -> 'content'
            else '[]'::jsonb
        end
    ) with ordinality as blocks (block, block_index)
{%- endmacro %}

{# Whether a message holds a content block of a type. #}
{% macro json_has_block(column, block_type) -%}
    {{ adapter.dispatch('json_has_block')(column, block_type) }}
{%- endmacro %}

{% macro duckdb__json_has_block(column, block_type) -%}
    coalesce(
        try(list_contains(json_extract_string({{ column }}, '$.content[*].type'), '{{ block_type }}')), false
    )
{%- endmacro %}

{% macro default__json_has_block(column, block_type) -%}
    coalesce(
        jsonb_path_exists(
            case when {{ column }} is json then cast({{ column }} as jsonb) end,
            '$.content[*] ? (@.type == "{{ block_type }}")'
        ),
        false
    )
{%- endmacro %}

{# How many lines of all hunks of a structured patch begin with a sign (`+` or `-`). #}
{% macro json_patch_lines(column, path, sign) -%}
    {{ adapter.dispatch('json_patch_lines')(column, path, sign) }}
{%- endmacro %}

{% macro duckdb__json_patch_lines(column, path, sign) -%}
    len(list_filter(
        try(json_extract_string({{ column }}, '$.{{ path }}[*].lines[*]')),
        lambda line: starts_with(line, '{{ sign }}')
    ))
{%- endmacro %}

{% macro default__json_patch_lines(column, path, sign) -%}
    jsonb_array_length(jsonb_path_query_array(
        case when {{ column }} is json then cast({{ column }} as jsonb) end,
        '$.{{ path }}[*].lines[*] ? (@ starts with "{{ sign }}")'
    ))
{%- endmacro %}
