{# Whether lower-cased text holds one of the words or phrases, as whole words. Phrases are regular expressions. #}
{% macro has_word(column, words) -%}
    {{ adapter.dispatch('has_word')(column, words) }}
{%- endmacro %}

{% macro duckdb__has_word(column, words) -%}
    regexp_matches({{ column }}, '\b({{ words | join("|") }})\b')
{%- endmacro %}

{% macro default__has_word(column, words) -%}
    ({{ column }} ~ '\y({{ words | join("|") }})\y')
{%- endmacro %}

{# Whether text matches a regular expression anywhere. #}
{% macro matches(column, pattern) -%}
    {{ adapter.dispatch('matches')(column, pattern) }}
{%- endmacro %}

{% macro duckdb__matches(column, pattern) -%}
    regexp_matches({{ column }}, '{{ pattern }}')
{%- endmacro %}

{% macro default__matches(column, pattern) -%}
    ({{ column }} ~ '{{ pattern }}')
{%- endmacro %}

{# The first group of the first match, null without one. #}
{% macro extract_match(column, pattern) -%}
    {{ adapter.dispatch('extract_match')(column, pattern) }}
{%- endmacro %}

{% macro duckdb__extract_match(column, pattern) -%}
    nullif(regexp_extract({{ column }}, '{{ pattern }}', 1), '')
{%- endmacro %}

{% macro default__extract_match(column, pattern) -%}
    nullif(substring({{ column }} from '{{ pattern }}'), '')
{%- endmacro %}

{# Replaces every match; groups are `\1`. #}
{% macro replace_matches(column, pattern, replacement) -%}
    {{ adapter.dispatch('replace_matches')(column, pattern, replacement) }}
{%- endmacro %}

{% macro default__replace_matches(column, pattern, replacement) -%}
    regexp_replace({{ column }}, '{{ pattern }}', '{{ replacement }}', 'g')
{%- endmacro %}

{# `matches` and `replace_matches`, of the first match, with a pattern that is an expression. #}
{% macro matches_pattern(column, pattern) -%}
    {{ adapter.dispatch('matches_pattern')(column, pattern) }}
{%- endmacro %}

{% macro duckdb__matches_pattern(column, pattern) -%}
    regexp_matches({{ column }}, {{ pattern }})
{%- endmacro %}

{% macro default__matches_pattern(column, pattern) -%}
    ({{ column }} ~ {{ pattern }})
{%- endmacro %}

{% macro replace_pattern(column, pattern, replacement) -%}
    {{ adapter.dispatch('replace_pattern')(column, pattern, replacement) }}
{%- endmacro %}

{% macro default__replace_pattern(column, pattern, replacement) -%}
    regexp_replace({{ column }}, {{ pattern }}, {{ replacement }})
{%- endmacro %}

{# Lines of a text: newlines, plus one for a last line without one. #}
{% macro line_count(column) -%}
    cast(
        length({{ column }}) - length(replace({{ column }}, chr(10), ''))
        + case when {{ column }} = '' or right({{ column }}, 1) = chr(10) then 0 else 1 end as bigint
    )
{%- endmacro %}

{# All distinct values in order, joined by a comma and a blank. #}
{% macro joined(column) -%}
    {{ adapter.dispatch('joined')(column) }}
{%- endmacro %}

{% macro default__joined(column) -%}
    string_agg(distinct {{ column }}, ', ' order by {{ column }})
{%- endmacro %}
