{#
    The portable macros as Spark SQL spells them. The session's time zone is UTC. Backslashes are escapes in constants,
    and patterns are Java's: `(?d)` and `\z` make line ends mean what they do elsewhere.
#}

{# Before it parses a statement, Spark puts values of settings and of the environment in place of `${name}`. #}
{% macro spark__text_constants(values) %}
    {%- set constants = [] -%}
    {%- for value in values -%}
        {%- set escaped = value | replace("\\", "\\\\") | replace("'", "\\'") | replace("$", "\\u0024") -%}
        {%- do constants.append("'" ~ escaped ~ "'") -%}
    {%- endfor -%}
    {% do return(constants) %}
{% endmacro %}

{# The values of unit tests; dbt-spark's own leaves backslashes as they are. #}
{% macro spark__escape_single_quotes(expression) -%}
    {{ text_constant(expression)[1:-1] }}
{%- endmacro %}

{# A pattern as models write it, with quotes doubled. #}
{% macro spark_pattern(pattern) -%}
    {{ text_constant('(?d)' ~ (pattern | replace("''", "'") | replace('$', '\\z'))) }}
{%- endmacro %}

{% macro spark__double_type() -%}
    double
{%- endmacro %}

{% macro spark__instant_type() -%}
    timestamp
{%- endmacro %}

{% macro spark__to_integer(expression) -%}
    coalesce(
        try_cast({{ expression }} as bigint),
        try_cast(round(try_cast({{ expression }} as decimal(38, 9))) as bigint)
    )
{%- endmacro %}

{% macro spark__to_amount(expression) -%}
    case when try_cast({{ expression }} as double) between 0 and 1000000000 then try_cast({{ expression }} as double) end
{%- endmacro %}

{% macro spark__percentile(column, fraction) -%}
    percentile({{ column }}, {{ fraction }})
{%- endmacro %}

{% macro spark__has_word(column, words) -%}
    {{ column }} rlike {{ spark_pattern('(?<![A-Za-z0-9_])(' ~ words | join('|') ~ ')(?![A-Za-z0-9_])') }}
{%- endmacro %}

{% macro spark__matches(column, pattern) -%}
    {{ column }} rlike {{ spark_pattern(pattern) }}
{%- endmacro %}

{% macro spark__extract_match(column, pattern) -%}
    nullif(regexp_extract({{ column }}, {{ spark_pattern(pattern) }}, 1), '')
{%- endmacro %}

{% macro spark__replace_matches(column, pattern, replacement) -%}
    regexp_replace({{ column }}, {{ spark_pattern(pattern) }}, {{ text_constant(replacement | replace('\\', '$')) }})
{%- endmacro %}

{% macro spark__matches_pattern(column, pattern) -%}
    {{ column }} rlike {{ pattern }}
{%- endmacro %}

{% macro spark__replace_pattern(column, pattern, replacement) -%}
    regexp_replace({{ column }}, {{ pattern }}, replace({{ replacement }}, chr(92), '$'))
{%- endmacro %}

{% macro spark__joined(column) -%}
    case when count({{ column }}) > 0 then array_join(array_sort(collect_set({{ column }})), ', ') end
{%- endmacro %}

{% macro spark__local_time(instant) -%}
    cast(from_utc_timestamp({{ instant }}, '{{ var("reporting_timezone") }}') as timestamp_ntz)
{%- endmacro %}

{% macro spark__utc_date(instant) -%}
    cast({{ instant }} as date)
{%- endmacro %}

{% macro spark__instant_text(instant) -%}
    cast({{ instant }} as string) || '+00'
{%- endmacro %}

{% macro spark__milliseconds_between(start, finish) -%}
    (unix_millis({{ finish }}) - unix_millis({{ start }}))
{%- endmacro %}

{% macro spark__epoch_milliseconds(instant) -%}
    unix_millis({{ instant }})
{%- endmacro %}

{% macro spark__instant_of(milliseconds) -%}
    timestamp_millis(cast({{ milliseconds }} as bigint))
{%- endmacro %}

{% macro spark__time_part(part, value) -%}
    cast(extract({{ {'isodow': 'dayofweek_iso'}.get(part, part) }} from {{ value }}) as integer)
{%- endmacro %}

{% macro spark__days_between(first_day, last_day) -%}
    datediff({{ last_day }}, {{ first_day }})
{%- endmacro %}

{% macro spark__number_series(bound) -%}
    (select explode(sequence(0, {{ bound }} - 1)) as number) as series
{%- endmacro %}

{# Each path is read by itself; Spark reads a document once for all paths of a projection. #}
{% macro spark__json_fields(column, paths) -%}
    {{ column }}
{%- endmacro %}

{% macro spark__json_field(fields, paths, path) -%}
    get_json_object({{ fields }}, '$.{{ path }}')
{%- endmacro %}

{% macro spark__json_text(column, path) -%}
    get_json_object({{ column }}, '$.{{ path }}')
{%- endmacro %}

{% macro spark__json_block_place(column, block_type) -%}
    nullif(array_position(
        transform(
            from_json({{ column }}, 'content array<string>').content, block -> get_json_object(block, '$.type')
        ),
        '{{ block_type }}'
    ), 0)
{%- endmacro %}

{% macro spark__json_patch_lines(column, path, sign) -%}
    cast(size(filter(
        flatten(coalesce(
            transform(
                from_json(get_json_object({{ column }}, '$.{{ path }}'), 'array<struct<lines: array<string>>>'),
                hunk -> coalesce(hunk.lines, array())
            ),
            array()
        )),
        line -> startswith(line, '{{ sign }}')
    )) as bigint)
{%- endmacro %}

{% macro spark__json_texts(column, path) -%}
    {%- set shape = "schema_of_variant(try_variant_get(try_parse_json(" ~ column ~ "), '$." ~ path ~ "', 'variant'))" -%}
    case
        when startswith({{ shape }}, 'ARRAY') then array_join(
            transform(
                from_json(get_json_object({{ column }}, '$.{{ path }}'), 'array<string>'),
                block -> get_json_object(block, '$.text')
            ),
            chr(10)
        )
        when {{ shape }} = 'STRING' then get_json_object({{ column }}, '$.{{ path }}')
        else ''
    end
{%- endmacro %}

{% macro spark__joined_keys(objects) -%}
    nullif(array_join(concat(
        {%- for prefix, object in objects.items() %}
        transform(
            array_sort(coalesce(json_object_keys({{ object }}), cast(array() as array<string>))), key -> '{{ prefix }}' || key
        ) {{- ', ' if not loop.last }}
        {%- endfor %}
    ), ','), '')
{%- endmacro %}

{% macro spark__each_part(column) -%}
    explode(split({{ column }}, ','))
{%- endmacro %}

{% macro spark__json_entries(relation, column, path, keep) -%}
    select
        {{ keep | join(', ') }},
        explode(from_json(get_json_object({{ column }}, '$.{{ path }}'), 'map<string, string>')) as (entry_key, entry_value)
    from {{ relation }}
{%- endmacro %}

{% macro spark__json_list_entries(relation, column, keep, paths) -%}
    select
        {{ keep | join(', ') }},
        entry_place + 1 as entry_index,
        {%- for path in paths %}
        get_json_object(entry, '$.{{ path }}') as entry_{{ path | replace('.', '_') | lower }}{{ ',' if not loop.last }}
        {%- endfor %}
    from (
        select {{ keep | join(', ') }}, posexplode(from_json({{ column }}, 'array<string>')) as (entry_place, entry)
        from {{ relation }}
    ) as entries
{%- endmacro %}

{# A field of a block; where the row itself is the block, its message's fields go before those of `extra`. #}
{% macro spark_block_field(path) -%}
    coalesce(get_json_object(block, '$.{{ path }}'), get_json_object(entry_extra, '$.{{ path }}'))
{%- endmacro %}

{% macro spark__json_content_blocks(relation, column, is_entry, keep, paths) -%}
    select
        {{ keep | join(', ') }},
        block_place + 1 as block_index,
        {%- for path in paths %}
        {{ spark_block_field(path) }} as block_{{ path | replace('.', '_') | lower }},
        {%- endfor %}
        case
            when {{ spark_block_field('is_error') }} = 'true' or {{ spark_block_field('isError') }} = 'true' then coalesce(
                case when not {{ is_entry }} then get_json_object(block, '$.content[0].text') end, {{ spark_block_field('content') }}
            )
        end as block_error_text,
        case
            when coalesce({{ spark_block_field('type') }}, 'tool_use') = 'tool_use'
                and not coalesce(startswith({{ spark_block_field('id') }}, 'toolu_'), false)
                then {{ spark_block_field('input') }}
        end as block_input_text
    from (
        select *, posexplode(blocks) as (block_place, block)
        from (
            select
                {{ keep | join(', ') }},
                case when {{ is_entry }} then extra end as entry_extra,
                case
                    when {{ is_entry }} then array(case when startswith({{ column }}, '{') then {{ column }} else '{}' end)
                    when startswith({{ column }}, '[') then from_json({{ column }}, 'array<string>')
                    else from_json({{ column }}, 'content array<string>').content
                end as blocks
            from {{ relation }}
        ) as with_blocks
    ) as unnested
{%- endmacro %}

{# In one pass over the hours: Spark takes a job for each step of a recursion, and allows a hundred of them. #}
{% macro spark__opening_hours(links) -%}
    select explode(aggregate(
        array_sort(collect_list(struct(hour, next_hour))),
        named_struct('due', min(hour), 'openings', cast(array() as array<bigint>)),
        (passed, link) -> if(
            link.hour = passed.due,
            named_struct('due', link.next_hour, 'openings', concat(passed.openings, array(link.hour))),
            passed
        ),
        passed -> passed.openings
    )) as opening_hour
    from {{ links }}
{%- endmacro %}
