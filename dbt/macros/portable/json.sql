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
    A query: the rows of a relation, once for each content block of a message, with `block_index` (from 1), each
    path of the block as text (`input.path` becomes `block_input_path`), `block_error_text`, what a block that
    reports an error says, and `block_input_text`, what a call whose id is not one of Anthropic's asks for. A message is an object with a list `content`, or the list itself; anything else has no
    blocks. Where `is_entry` holds, the row itself is the block: its message's fields over those of `extra`.
#}
{% macro json_content_blocks(relation, column, is_entry, keep, paths) -%}
    {{ adapter.dispatch('json_content_blocks')(relation, column, is_entry, keep, paths) }}
{%- endmacro %}

{#
    Reads each message once, into a list of structs, and unnests it in the select list: a lateral join would first
    look for equal messages, at great cost.
#}
{% macro duckdb__json_content_blocks(relation, column, is_entry, keep, paths) -%}
    {%- set structure = json_structure(paths) %}
    select
        {{ keep | join(', ') }},
        block_index,
        {%- for path in paths %}
        block.{{ path }} as block_{{ path | replace('.', '_') | lower }},
        {%- endfor %}
        case
            when not coalesce(block.is_error = 'true' or block."isError" = 'true', false) then null
            when {{ is_entry }} then try(json_extract_string(whole_entry, '$.content'))
            when starts_with(message, '[') then coalesce(
                try(json_extract_string(message, '$[' || (block_index - 1) || '].content[0].text')),
                try(json_extract_string(message, '$[' || (block_index - 1) || '].content'))
            )
            else coalesce(
                try(json_extract_string(message, '$.content[' || (block_index - 1) || '].content[0].text')),
                try(json_extract_string(message, '$.content[' || (block_index - 1) || '].content'))
            )
        end as block_error_text,
        case
            when coalesce(block.type, 'tool_use') <> 'tool_use' or starts_with(block.id, 'toolu_') then null
            when {{ is_entry }} then try(json_extract_string(whole_entry, '$.input'))
            when starts_with(message, '[')
                then try(json_extract_string(message, '$[' || (block_index - 1) || '].input'))
            else try(json_extract_string(message, '$.content[' || (block_index - 1) || '].input'))
        end as block_input_text
    from (
        select
            *,
            unnest(blocks) as block,
            generate_subscripts(blocks, 1) as block_index
        from (
            select
                *,
                case
                    when {{ is_entry }} then [try(from_json(whole_entry, '{{ structure }}'))]
                    when starts_with(message, '[') then try(from_json(message, '[{{ structure }}]'))
                    else try(from_json(message, '{"content": [{{ structure }}]}')).content
                end as blocks
            from (
                select
                    {{ keep | join(', ') }},
                    cast({{ column }} as varchar) as message,
                    case
                        when not {{ is_entry }} then null
                        when starts_with(cast({{ column }} as varchar), '{')
                            then try(cast(json_merge_patch(coalesce(extra, '{}'), {{ column }}) as varchar))
                        else cast(extra as varchar)
                    end as whole_entry
                from {{ relation }}
            ) as messages
        ) as with_blocks
    ) as unnested
{%- endmacro %}

{# The paths as the nested JSON that DuckDB's `from_json` takes, every value a text. #}
{% macro json_structure(paths) -%}
    {%- set fields = {} -%}
    {%- for path in paths -%}
        {%- if '.' in path -%}
            {%- set outer, inner = path.split('.', 1) -%}
            {%- do fields.setdefault(outer, {}).update({inner: 'VARCHAR'}) -%}
        {%- else -%}
            {%- do fields.update({path: 'VARCHAR'}) -%}
        {%- endif -%}
    {%- endfor -%}
    {{ tojson(fields) }}
{%- endmacro %}

{% macro default__json_content_blocks(relation, column, is_entry, keep, paths) -%}
    select
        {{ keep | join(', ') }},
        blocks.block_index,
        {%- for path in paths %}
        blocks.block #>> '{ {{- path | replace('.', ',') -}} }' as block_{{ path | replace('.', '_') | lower }},
        {%- endfor %}
        case
            when coalesce(blocks.block ->> 'is_error', blocks.block ->> 'isError') = 'true'
                then coalesce(blocks.block #>> '{content,0,text}', blocks.block ->> 'content')
        end as block_error_text,
        blocks.block ->> 'input' as block_input_text
    from {{ relation }}
    cross join lateral jsonb_array_elements(
        case
            when {{ is_entry }} then jsonb_build_array(
                coalesce(cast(extra as jsonb), '{}'::jsonb)
                || case when {{ column }} is json object then cast({{ column }} as jsonb) else '{}'::jsonb end
            )
            when {{ column }} is not json then '[]'::jsonb
            when jsonb_typeof(cast({{ column }} as jsonb)) = 'array' then cast({{ column }} as jsonb)
            when jsonb_typeof(cast({{ column }} as jsonb) -> 'content') = 'array'
                then cast({{ column }} as jsonb) -> 'content'
            else '[]'::jsonb
        end
    ) with ordinality as blocks (block, block_index)
{%- endmacro %}

{#
    A query: the rows of a relation, once for each entry of the JSON object at a path, with `entry_key` and
    `entry_value`, its JSON text. What is no object has no entries.
#}
{% macro json_entries(relation, column, path, keep) -%}
    {{ adapter.dispatch('json_entries')(relation, column, path, keep) }}
{%- endmacro %}

{% macro duckdb__json_entries(relation, column, path, keep) -%}
    select
        {{ keep | join(', ') }},
        entry.key as entry_key,
        cast(entry.value as varchar) as entry_value
    from (
        select
            {{ keep | join(', ') }},
            unnest(map_entries(try(from_json(json_extract({{ column }}, '$.{{ path }}'), '"MAP(VARCHAR, JSON)"'))))
                as entry
        from {{ relation }}
    ) as unnested
{%- endmacro %}

{% macro default__json_entries(relation, column, path, keep) -%}
    select
        {{ keep | join(', ') }},
        entries.key as entry_key,
        cast(entries.value as text) as entry_value
    from {{ relation }}
    cross join lateral jsonb_each(
        case
            when {{ column }} is json and jsonb_typeof(cast({{ column }} as jsonb) #> '{ {{- path.replace('.', ',') -}} }') = 'object'
                then cast({{ column }} as jsonb) #> '{ {{- path.replace('.', ',') -}} }'
            else '{}'::jsonb
        end
    ) as entries (key, value)
{%- endmacro %}

{# A text, or the texts of a list of content blocks, each on a line of its own; empty if there is neither. #}
{% macro json_texts(column, path) -%}
    {{ adapter.dispatch('json_texts')(column, path) }}
{%- endmacro %}

{% macro duckdb__json_texts(column, path) -%}
    case
        when try(json_type({{ column }}, '$.{{ path }}')) = 'ARRAY'
            then array_to_string(json_extract_string({{ column }}, '$.{{ path }}[*].text'), chr(10))
        when try(json_type({{ column }}, '$.{{ path }}')) = 'VARCHAR' then {{ json_text(column, path) }}
        else ''
    end
{%- endmacro %}

{% macro default__json_texts(column, path) -%}
    (
        select coalesce(string_agg(found.part #>> '{}', chr(10) order by blocks.place), '')
        from jsonb_path_query(
            case when {{ column }} is json then cast({{ column }} as jsonb) end,
            -- `[*]` of a text is the text itself.
            '$.{{ path }}[*] ? (@.type() == "string" || @.text.type() == "string")'
        ) with ordinality as blocks (block, place),
        lateral (
            select case when jsonb_typeof(blocks.block) = 'string' then blocks.block else blocks.block -> 'text' end
        ) as found (part)
    )
{%- endmacro %}

{#
    The keys of several JSON objects in one text, each behind its prefix, joined by commas; null without any.

    Args:
        objects: Expression of an object's JSON text, by prefix.
#}
{% macro joined_keys(objects) -%}
    {{ adapter.dispatch('joined_keys')(objects) }}
{%- endmacro %}

{% macro duckdb__joined_keys(objects) -%}
    nullif(array_to_string(list_concat(
        {%- for prefix, object in objects.items() %}
        list_transform(list_sort(coalesce(try(json_keys({{ object }})), [])), lambda key: '{{ prefix }}' || key)
        {{- ', ' if not loop.last }}
        {%- endfor %}
    ), ','), '')
{%- endmacro %}

{% macro default__joined_keys(objects) -%}
    nullif(concat_ws(
        ','
        {%- for prefix, object in objects.items() -%}
        , (
            select string_agg('{{ prefix }}' || keys.key, ',' order by keys.key collate "C")
            from jsonb_object_keys(
                case when {{ object }} is json object then cast({{ object }} as jsonb) else '{}'::jsonb end
            ) as keys (key)
        )
        {%- endfor %}
    ), '')
{%- endmacro %}

{# In a select list: one row for each part of a text that commas divide. #}
{% macro each_part(column) -%}
    {{ adapter.dispatch('each_part')(column) }}
{%- endmacro %}

{% macro default__each_part(column) -%}
    unnest(string_to_array({{ column }}, ','))
{%- endmacro %}

{# The place (from 1) of the first content block of a type; null without one. #}
{% macro json_block_place(column, block_type) -%}
    {{ adapter.dispatch('json_block_place')(column, block_type) }}
{%- endmacro %}

{% macro duckdb__json_block_place(column, block_type) -%}
    list_position(try(json_extract_string({{ column }}, '$.content[*].type')), '{{ block_type }}')
{%- endmacro %}

{% macro default__json_block_place(column, block_type) -%}
    (
        select min(place)
        from jsonb_path_query_array(
            case when {{ column }} is json then cast({{ column }} as jsonb) end, '$.content[*].type'
        ) as types,
        lateral jsonb_array_elements_text(types) with ordinality as listed (block_type, place)
        where listed.block_type = '{{ block_type }}'
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

{#
    A query: the rows of a relation, once for each entry of a column that holds a JSON list of objects, with
    `entry_index` (from 1) and each path of the entry as text (`a.b` becomes `entry_a_b`). Text that is no such list gives no rows.
#}
{% macro json_list_entries(relation, column, keep, paths) -%}
    {{ adapter.dispatch('json_list_entries')(relation, column, keep, paths) }}
{%- endmacro %}

{% macro duckdb__json_list_entries(relation, column, keep, paths) -%}
    select
        {{ keep | join(', ') }},
        entry_index,
        {%- for path in paths %}
        entry.{{ path }} as entry_{{ path | replace('.', '_') | lower }}{{ ',' if not loop.last }}
        {%- endfor %}
    from (
        select {{ keep | join(', ') }}, unnest(entries) as entry, generate_subscripts(entries, 1) as entry_index
        from (
            select {{ keep | join(', ') }}, try(from_json({{ column }}, '[{{ json_structure(paths) }}]')) as entries
            from {{ relation }}
        ) as lists
    ) as entries
{%- endmacro %}

{% macro default__json_list_entries(relation, column, keep, paths) -%}
    select
        {{ keep | join(', ') }},
        entries.entry_index,
        {%- for path in paths %}
        entries.entry #>> '{ {{- path | replace('.', ',') -}} }' as entry_{{ path | replace('.', '_') | lower }}
        {{- ',' if not loop.last }}
        {%- endfor %}
    from {{ relation }}
    cross join lateral jsonb_array_elements(
        case when {{ column }} is json array then cast({{ column }} as jsonb) else '[]'::jsonb end
    ) with ordinality as entries (entry, entry_index)
{%- endmacro %}
