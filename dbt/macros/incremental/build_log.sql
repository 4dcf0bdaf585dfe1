{#
    What has been built from what, kept in schema `ops` and written in the transaction that writes the rows:

    - `ops.model_builds`: each version of an incremental model, `sequence` counted from 1. `whole_sequence` is
      the last version for which all rows were made anew.
    - `ops.model_inputs`: which version of each input that version has seen. For `raw` this is a load id, and
      `input_stamp` the time of that load, so that a warehouse that was made anew is noticed.
    - `ops.model_changes`: the conversations whose rows that version may have changed.

    A model rebuilds the conversations that its inputs have changed since it last looked: right also after
    partial selections and failed runs. It rebuilds wholly if an input did, if its definition changed, or on
    `--full-refresh`.
#}
{% macro create_build_log() %}
    {%- set text = dbt.type_string() -%}
    {%- set tables = {
        'model_builds': 'model ' ~ text ~ ', sequence bigint, whole_sequence bigint, fingerprint ' ~ text
        ~ ', macros_checksum ' ~ text ~ ', built_at ' ~ instant_type(),
        'model_inputs': 'model ' ~ text ~ ', sequence bigint, input ' ~ text ~ ', input_sequence bigint, input_stamp '
        ~ text,
        'model_changes': 'model ' ~ text ~ ', sequence bigint, session_id ' ~ text,
    } -%}
    {%- if execute -%}
        {%- do run_query('create schema if not exists ops') -%}
        {%- for table, columns in tables.items() -%}
            {%- do run_query('create table if not exists ops.' ~ table ~ ' (' ~ columns ~ ')' ~ table_format()) -%}
        {%- endfor -%}
    {%- endif -%}
{% endmacro %}

{# What makes a table that rows can be deleted from, after its columns. #}
{% macro table_format() -%}
    {{ adapter.dispatch('table_format')() }}
{%- endmacro %}

{% macro default__table_format() -%}{%- endmacro %}

{# Writes down a build, if there was anything new to see. Runs as a post-hook, inside the transaction. #}
{% macro record_build() %}
    {%- if execute and is_built_by_session() -%}
        {%- set plan = build_plan() -%}
        {%- if plan.is_whole or plan.has_news -%}
            {%- set inputs = [] -%}
            {%- for input in plan.inputs -%}
                {%- do inputs.append(
                    "('" ~ model.name ~ "', " ~ plan.sequence ~ ", '" ~ input.name ~ "', " ~ input.sequence ~ ", '"
                    ~ input.stamp ~ "')"
                ) -%}
            {%- endfor -%}
            {%- do run_query('insert into ops.model_inputs values ' ~ inputs | join(', ')) -%}
            {%- do run_query(
                "insert into ops.model_builds select '" ~ model.name ~ "', " ~ plan.sequence ~ ", "
                ~ (plan.sequence if plan.is_whole else plan.whole_sequence) ~ ", '" ~ plan.fingerprint ~ "', '"
                ~ plan.macros_checksum ~ "', " ~ dbt.current_timestamp()
            ) -%}
        {%- endif -%}
    {%- endif -%}
{% endmacro %}

{# Forgets what no model can ask for any more. #}
{% macro prune_build_log() %}
    {%- if execute and flags.WHICH in ('run', 'build') -%}
        {%- for table in ['model_builds', 'model_inputs'] -%}
            {%- set newest = run_query('select model, max(sequence) from ops.' ~ table ~ ' group by model').rows -%}
            {%- do forget(table, 'sequence <', newest) -%}
        {%- endfor -%}
        {%- do forget('model_changes', 'sequence <=', run_query(
            'select input, min(input_sequence) from ops.model_inputs group by input'
        ).rows) -%}
    {%- endif -%}
{% endmacro %}

{% macro forget(table, condition, bounds) %}
    {%- set conditions = [] -%}
    {%- for name, bound in bounds -%}
        {%- do conditions.append("(model = '" ~ name ~ "' and " ~ condition ~ " " ~ bound ~ ")") -%}
    {%- endfor -%}
    {%- if conditions -%}
        {%- do run_query('delete from ops.' ~ table ~ ' where ' ~ conditions | join(' or ')) -%}
    {%- endif -%}
{% endmacro %}
