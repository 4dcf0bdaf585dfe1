{# Text as a whole number; null if it is none. #}
{% macro to_integer(expression) -%}
    {{ adapter.dispatch('to_integer')(expression) }}
{%- endmacro %}

{% macro duckdb__to_integer(expression) -%}
    try_cast({{ expression }} as bigint)
{%- endmacro %}

{% macro default__to_integer(expression) -%}
    case when {{ expression }} ~ '^-?[0-9]{1,18}$' then cast({{ expression }} as bigint) end
{%- endmacro %}

{#
    Text as a count; null if it is none, or beyond all reason: sums and costs of it must not overflow. Numbers that
    MongoDB writes as an object (`{"$numberDecimal": "12"}`) are read, too.
#}
{% macro to_count(expression) -%}
    {%- set written -%}
        case when {{ expression }} like '{"$number%' then split_part({{ expression }}, '"', 4) else {{ expression }} end
    {%- endset -%}
    case
        when {{ to_integer(written) }} between 0 and 10000000000 then {{ to_integer(written) }}
    end
{%- endmacro %}

{# Text as an amount of money, not below 0; null if it is none. #}
{% macro to_amount(expression) -%}
    {{ adapter.dispatch('to_amount')(expression) }}
{%- endmacro %}

{% macro duckdb__to_amount(expression) -%}
    case when try_cast({{ expression }} as double) between 0 and 1000000000 then try_cast({{ expression }} as double) end
{%- endmacro %}

{% macro default__to_amount(expression) -%}
    case
        when {{ expression }} ~ '^[0-9]{1,9}([.][0-9]+)?([eE]-?[0-9]{1,2})?$'
            then case when cast({{ expression }} as double precision) <= 1000000000 then cast({{ expression }} as double precision) end
    end
{%- endmacro %}

{# Text as a truth; everything but `true` is false, also nothing. #}
{% macro to_truth(expression) -%}
    coalesce({{ expression }} = 'true', false)
{%- endmacro %}

{# Whether any row is true. #}
{% macro any_true(condition) -%}
    (max(case when {{ condition }} then 1 else 0 end) = 1)
{%- endmacro %}

{# How many rows fulfil a condition. #}
{% macro count_if(condition) -%}
    count(case when {{ condition }} then 1 end)
{%- endmacro %}

{# A part of a whole, null if the whole is 0. #}
{% macro ratio(part, whole) -%}
    cast({{ part }} as {{ double_type() }}) / nullif({{ whole }}, 0)
{%- endmacro %}

{# A percentile, 0 to 1, between the neighbouring values. #}
{% macro percentile(column, fraction) -%}
    {{ adapter.dispatch('percentile')(column, fraction) }}
{%- endmacro %}

{% macro duckdb__percentile(column, fraction) -%}
    quantile_cont({{ column }}, {{ fraction }})
{%- endmacro %}

{% macro default__percentile(column, fraction) -%}
    percentile_cont({{ fraction }}) within group (order by {{ column }})
{%- endmacro %}

{# Key of a row: the md5 of its parts. Each comes with its length, so that no two rows' parts join to one text. #}
{% macro surrogate_key(columns) -%}
    md5(
        {%- for column in columns -%}
            {%- set text = 'cast(' ~ column ~ ' as ' ~ dbt.type_string() ~ ')' -%}
            coalesce(cast(length({{ text }}) as {{ dbt.type_string() }}) || ':' || {{ text }}, '-')
            {{- " || '|' || " if not loop.last -}}
        {%- endfor -%}
    )
{%- endmacro %}

{# The sum of whole numbers as a whole number of 8 bytes; some engines would widen it. #}
{% macro total(expression) -%}
    cast(coalesce(sum({{ expression }}), 0) as bigint)
{%- endmacro %}

{#
    Sum of money, null if there is none. Summed as whole ten-billionths of a dollar: the sum of floating-point
    numbers would depend on their order, and so on how a table was built.
#}
{% macro total_usd(expression) -%}
    cast(sum(cast(round({{ expression }} * 10000000000) as bigint)) as {{ double_type() }}) / 10000000000
{%- endmacro %}

{# Sum of seconds with three decimals; as whole milliseconds, for the same reason. #}
{% macro total_seconds(expression) -%}
    cast(sum(cast(round({{ expression }} * 1000) as bigint)) as {{ double_type() }}) / 1000
{%- endmacro %}

{# The type of floating-point numbers of 8 bytes. #}
{% macro double_type() -%}
    {{ adapter.dispatch('double_type')() }}
{%- endmacro %}

{% macro default__double_type() -%}
    double precision
{%- endmacro %}

{# The type of instants. #}
{% macro instant_type() -%}
    {{ adapter.dispatch('instant_type')() }}
{%- endmacro %}

{% macro default__instant_type() -%}
    timestamp with time zone
{%- endmacro %}

{#
    Texts as SQL constants, as a list: for long ones, where a macro called for each would take longer than the query.
#}
{% macro text_constants(values) %}
    {% do return(adapter.dispatch('text_constants')(values)) %}
{% endmacro %}

{% macro default__text_constants(values) %}
    {%- set constants = [] -%}
    {%- for value in values -%}{%- do constants.append("'" ~ value | replace("'", "''") ~ "'") -%}{%- endfor -%}
    {% do return(constants) %}
{% endmacro %}

{# A text as a constant. #}
{% macro text_constant(value) -%}
    {{ text_constants([value])[0] }}
{%- endmacro %}
