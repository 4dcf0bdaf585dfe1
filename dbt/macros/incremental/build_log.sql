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
    create schema if not exists ops;
    create table if not exists ops.model_builds (
        model {{ dbt.type_string() }}, sequence bigint, whole_sequence bigint, fingerprint {{ dbt.type_string() }},
        macros_checksum {{ dbt.type_string() }}, built_at timestamp with time zone
    );
    create table if not exists ops.model_inputs (
        model {{ dbt.type_string() }}, sequence bigint, input {{ dbt.type_string() }}, input_sequence bigint,
        input_stamp {{ dbt.type_string() }}
    );
    create table if not exists ops.model_changes (
        model {{ dbt.type_string() }}, sequence bigint, session_id {{ dbt.type_string() }}
    );
{% endmacro %}

{# Writes down a build, if there was anything new to see. Runs as a post-hook, inside the transaction. #}
{% macro record_build() %}
    {%- if execute and is_built_by_session() -%}
        {%- set plan = build_plan() -%}
        {%- if plan.is_whole or plan.has_news %}
            insert into ops.model_builds values (
                '{{ model.name }}', {{ plan.sequence }}, {{ plan.sequence if plan.is_whole else plan.whole_sequence }},
                '{{ plan.fingerprint }}', '{{ plan.macros_checksum }}', {{ dbt.current_timestamp() }}
            );
            insert into ops.model_inputs values
            {% for input in plan.inputs -%}
                ('{{ model.name }}', {{ plan.sequence }}, '{{ input.name }}', {{ input.sequence }}, '{{ input.stamp }}')
                {{- ', ' if not loop.last }}
            {% endfor %};
        {%- endif -%}
    {%- endif -%}
{% endmacro %}

{# Forgets what no model can ask for any more. #}
{% macro prune_build_log() %}
    {%- if execute and flags.WHICH in ('run', 'build') %}
    delete from ops.model_builds where exists (
        select 1 from ops.model_builds as newer
        where newer.model = model_builds.model and newer.sequence > model_builds.sequence
    );
    delete from ops.model_inputs where exists (
        select 1 from ops.model_inputs as newer
        where newer.model = model_inputs.model and newer.sequence > model_inputs.sequence
    );
    delete from ops.model_changes where sequence <= (
        select min(model_inputs.input_sequence) from ops.model_inputs
        where model_inputs.input = model_changes.model
    );
    {%- endif %}
{% endmacro %}
