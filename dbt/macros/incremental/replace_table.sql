{# Puts the rows of a query in place of what there is, in one statement: a table, or a view of an older version. #}
{% macro replace_table(relation, existing, query) %}
    {%- if existing is none or existing.is_view -%}
        {%- do run_query('drop view if exists ' ~ relation) -%}
    {%- endif -%}
    {%- call statement('main') -%}
        create or replace table {{ relation }} {{ table_format() }} as {{ query }}
    {%- endcall -%}
{% endmacro %}
