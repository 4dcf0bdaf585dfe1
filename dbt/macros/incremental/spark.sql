{#
    How Spark keeps tables. dbt-spark's own materializations drop a table before they make it again, and with it the
    snapshots that published builds name: these replace what is in it, in one commit.

    Spark commits each statement by itself. The order makes that safe: what changed is noted first, then the rows are
    replaced, and the build is recorded last; whoever is killed in between does it again.
#}
{#
    A delete is written beside the rows (merge-on-read): as Iceberg does by itself, it would write each file that has a
    row of an affected conversation once more, and so most of every table. The nightly full refresh makes one again.
#}
{% macro spark__table_format() %} using iceberg tblproperties ('write.delete.mode' = 'merge-on-read'){% endmacro %}

{% materialization table, adapter='spark', supported_languages=['sql'] -%}
    {{ run_hooks(pre_hooks) }}
    {%- do replace_table(this, load_relation(this), compiled_code) -%}
    {{ run_hooks(post_hooks) }}
    {{ return({'relations': [this.incorporate(type='table')]}) }}
{%- endmaterialization %}

{% materialization incremental, adapter='spark', supported_languages=['sql'] -%}
    {%- set existing = load_relation(this) -%}
    {{ run_hooks(pre_hooks) }}
    {%- if existing is none or existing.is_view or should_full_refresh() -%}
        {%- do replace_table(this, existing, compiled_code) -%}
    {%- else -%}
        {%- set new_rows = this.identifier ~ '__new_rows' -%}
        {%- do run_query('create or replace temporary view ' ~ new_rows ~ ' as ' ~ compiled_code) -%}
        {%- set statements = by_session_statements(this, new_rows, adapter.get_columns_in_relation(this)) -%}
        {%- for statement in statements[:-1] -%}{%- do run_query(statement) -%}{%- endfor -%}
        {%- call statement('main') -%}
            {{ statements[-1] if statements else 'select 1' }}
        {%- endcall -%}
        {%- do run_query('drop view ' ~ new_rows) -%}
    {%- endif -%}
    {{ run_hooks(post_hooks) }}
    {{ return({'relations': [this.incorporate(type='table')]}) }}
{%- endmaterialization %}

{# A seed's table is made with its rows, in one statement; dbt-spark's own would also write None as a text. #}
{% macro spark__create_csv_table(model, agate_table) %}{% do return('') %}{% endmacro %}

{% macro spark__reset_csv_table(model, full_refresh, old_relation, agate_table) %}{% do return('') %}{% endmacro %}

{% macro spark__load_csv_rows(model, agate_table) %}
    {%- set types = model['config'].get('column_types', {}) -%}
    {%- set query -%}
        create or replace table {{ this }} {{ table_format() }} as
        select
            {%- for column in agate_table.column_names %}
            cast({{ column }} as {{ types[column] | replace('double precision', 'double') }}) as {{ column }}{{ ',' if not loop.last }}
            {%- endfor %}
        from values
            {%- for row in agate_table.rows %}
            (
                {%- for value in row -%}
                    {{ 'null' if value is none else text_constant(value | string) }}{{ ', ' if not loop.last }}
                {%- endfor -%}
            ) {{- ',' if not loop.last }}
            {%- endfor %}
            as seed ({{ agate_table.column_names | join(', ') }})
    {%- endset -%}
    {%- do run_query(query) -%}
    {% do return(query) %}
{% endmacro %}
