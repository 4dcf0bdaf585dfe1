{# A query: rows given as a variable, one column for each type; none if there are none. #}
{% macro given_rows(rows, types) -%}
    {%- for row in rows %}
    {{ 'union all ' if not loop.first }}select
        {%- for column, type in types.items() %}
        cast(
            {%- if row[column] is none %} null
            {%- else %} {{ text_constant(row[column] | string) }}
            {%- endif %} as {{ type }}) as {{ column }}{{ ',' if not loop.last }}
        {%- endfor %}
    {%- else %}
    select
        {%- for column, type in types.items() %}
        cast(null as {{ type }}) as {{ column }}{{ ',' if not loop.last }}
        {%- endfor %}
    where 1 = 0
    {%- endfor %}
{%- endmacro %}
