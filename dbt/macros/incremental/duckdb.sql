{#
    How DuckDB keeps tables. dbt-duckdb's own materializations make a table beside the old one, rename both and drop one,
    or look up columns to compare them: four to eight statements a model, each of which costs dbt as much as these few
    rows cost DuckDB. All of it is one transaction.
#}
{% materialization table, adapter='duckdb', supported_languages=['sql'] -%}
    {{ run_hooks(pre_hooks) }}
    {%- do replace_table(this, load_cached_relation(this), compiled_code) -%}
    {{ run_hooks(post_hooks) }}
    {%- do adapter.commit() -%}
    {{ return({'relations': [this.incorporate(type='table')]}) }}
{%- endmaterialization %}

{% materialization incremental, adapter='duckdb', supported_languages=['sql'] -%}
    {%- set existing = load_cached_relation(this) -%}
    {{ run_hooks(pre_hooks) }}
    {%- if existing is none or existing.is_view or should_full_refresh() -%}
        {%- do replace_table(this, existing, compiled_code) -%}
    {%- else -%}
        {%- set new_rows = adapter.quote(this.identifier ~ '__new_rows') -%}
        {%- set statements = by_session_statements(this, new_rows) -%}
        {%- if statements -%}
            {%- do run_query('create temporary table ' ~ new_rows ~ ' as ' ~ compiled_code) -%}
            {%- do statements.append('drop table ' ~ new_rows) -%}
        {%- endif -%}
        {%- call statement('main') -%}
            {{ statements | join('; ') if statements else 'select 1' }}
        {%- endcall -%}
    {%- endif -%}
    {{ run_hooks(post_hooks) }}
    {%- do adapter.commit() -%}
    {{ return({'relations': [this.incorporate(type='table')]}) }}
{%- endmaterialization %}
