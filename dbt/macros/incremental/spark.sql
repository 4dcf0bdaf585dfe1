{#
    Spark commits each statement by itself. The order makes that safe: what changed is noted first, then the rows are
    replaced, and the build is recorded last; whoever is killed in between does it again.
#}
{% macro spark__run_in_turn(statements) %}
    {%- for statement in statements -%}{%- do run_query(statement) -%}{%- endfor -%}
{% endmacro %}

{#
    dbt-spark's own drops an Iceberg table on a full refresh, and with it the snapshots that published builds name. This
    one replaces what is in it.
#}
{% materialization incremental, adapter='spark', supported_languages=['sql'] -%}
    {%- set target_relation = this -%}
    {%- set existing = load_relation(this) -%}
    {{ run_hooks(pre_hooks) }}
    {%- if existing is none or existing.is_view or should_full_refresh() -%}
        {%- call statement('main') -%}
            {{ create_table_as(false, target_relation, compiled_code) }}
        {%- endcall -%}
    {%- else -%}
        {%- set new_rows = this.incorporate(path={'identifier': this.identifier ~ '__new_rows', 'schema': none}) -%}
        {%- call statement('new_rows') -%}
            create or replace temporary view {{ new_rows.identifier }} as {{ compiled_code }}
        {%- endcall -%}
        {%- set statements = by_session_statements(
            target_relation, new_rows.identifier, adapter.get_columns_in_relation(target_relation)
        ) -%}
        {%- do spark__run_in_turn(statements[:-1]) -%}
        {%- call statement('main') -%}
            {{ statements[-1] if statements else 'select 1' }}
        {%- endcall -%}
    {%- endif -%}
    {{ run_hooks(post_hooks) }}
    {{ return({'relations': [target_relation]}) }}
{%- endmaterialization %}
