{# Whether this node is a model that is rebuilt conversation by conversation, in a command that builds. #}
{% macro is_built_by_session() %}
    {% do return(
        model.resource_type == 'model'
        and model.config.materialized == 'incremental'
        and flags.WHICH in ('run', 'build')
    ) %}
{% endmacro %}

{# The incremental models (and `raw`) whose rows this model reads, directly or through views. #}
{% macro incremental_inputs(unique_id, found=none) %}
    {%- set found = [] if found is none else found -%}
    {%- for upstream_id in graph.nodes[unique_id].depends_on.nodes -%}
        {%- if upstream_id.startswith('source.') -%}
            {%- if 'raw' not in found -%}{%- do found.append('raw') -%}{%- endif -%}
        {%- elif graph.nodes[upstream_id].config.materialized == 'incremental' -%}
            {%- if graph.nodes[upstream_id].name not in found -%}
                {%- do found.append(graph.nodes[upstream_id].name) -%}
            {%- endif -%}
        {%- else -%}
            {%- do incremental_inputs(upstream_id, found) -%}
        {%- endif -%}
    {%- endfor -%}
    {% do return(found) %}
{% endmacro %}

{# The checksums of this model, of the views and seeds it reads, and of what else decides on its rows. #}
{% macro definition_checksums(unique_id, found=none) %}
    {%- set found = [] if found is none else found -%}
    {%- do found.append(unique_id ~ graph.nodes[unique_id].checksum.checksum) -%}
    {%- for upstream_id in graph.nodes[unique_id].depends_on.nodes -%}
        {%- if upstream_id in graph.nodes and graph.nodes[upstream_id].config.materialized != 'incremental' -%}
            {%- do definition_checksums(upstream_id, found) -%}
        {%- endif -%}
    {%- endfor -%}
    {% do return(found) %}
{% endmacro %}

{% macro fingerprint() %}
    {%- set parts = definition_checksums(model.unique_id) | unique | sort -%}
    {% do return(local_md5(
        parts | join(' ') ~ var('reporting_timezone') ~ var('active_gap_seconds') ~ var('project_aliases') ~ target.type
    )) %}
{% endmacro %}

{#
    How to build this model now.

    Gives `is_whole`, `sessions` (the conversations to rebuild, none if all), `has_news` (an input has a newer
    version), `sequence` (of the version to build), `whole_sequence`, `fingerprint`, `macros_checksum` and
    `inputs`: for each its `name`, the newest `sequence` and `stamp`, and `seen`, the version this model has
    seen (none if it never has). Made once per model and run, kept in dbt's graph: nothing of it can change
    before the model is built.
#}
{% macro build_plan() %}
    {%- set node = graph.nodes[model.unique_id] -%}
    {%- if 'build_plan' not in node -%}{%- do node.update({'build_plan': make_build_plan()}) -%}{%- endif -%}
    {% do return(node['build_plan']) %}
{% endmacro %}

{% macro make_build_plan() %}
    {%- set macros_checksum = var('macros_checksum') -%}
    {%- set last = run_query(
        "select sequence, whole_sequence, fingerprint, macros_checksum from ops.model_builds "
        ~ "where model = '" ~ model.name ~ "' order by sequence desc limit 1"
    ).rows -%}
    {%- set plan = {
        'sequence': last[0][0] | int + 1 if last else 1,
        'whole_sequence': last[0][1] | int if last else 1,
        'fingerprint': fingerprint(),
        'macros_checksum': macros_checksum or (last[0][3] if last else ''),
        'inputs': [],
        'has_news': false,
    } -%}
    {%- set reasons = [] -%}
    {%- if not last -%}
        {%- do reasons.append('never built') -%}
    {%- elif last[0][2] != plan.fingerprint or last[0][3] != plan.macros_checksum -%}
        {%- do reasons.append('definition changed') -%}
    {%- endif -%}
    {%- for name in incremental_inputs(model.unique_id) -%}
        {%- set input = raw_input(plan.sequence - 1) if name == 'raw' else model_input(name, plan.sequence - 1) -%}
        {%- do plan.inputs.append(input) -%}
        {%- if input.must_rebuild -%}{%- do reasons.append(name ~ ' is new') -%}{%- endif -%}
        {%- if input.sequence != input.seen -%}{%- do plan.update({'has_news': true}) -%}{%- endif -%}
    {%- endfor -%}
    {%- set is_whole = flags.FULL_REFRESH or reasons | length > 0 -%}
    {%- set sessions = none if is_whole else changed_sessions(plan.inputs) -%}
    {%- do plan.update({'sessions': sessions, 'is_whole': sessions is none}) -%}
    {% do return(plan) %}
{% endmacro %}

{# What the warehouse's loads have brought since a build of this model. #}
{% macro raw_input(built) %}
    {%- set loads = source('raw', 'loads') -%}
    {%- set state = run_query(
        "select inputs.input_sequence, loads.newest, "
        ~ "cast(newest_load.loaded_at as " ~ dbt.type_string() ~ "), "
        ~ "case when inputs.input_sequence is null or inputs.input_sequence > loads.newest then 1 "
        ~ "when inputs.input_sequence > 0 and (seen_load.loaded_at is null "
        ~ "or cast(seen_load.loaded_at as " ~ dbt.type_string() ~ ") <> inputs.input_stamp) then 1 "
        ~ "when exists (select 1 from " ~ loads ~ " as bulk where bulk.is_bulk "
        ~ "and bulk.load_id > inputs.input_sequence) then 1 "
        ~ "when loads.oldest > inputs.input_sequence + 1 then 1 else 0 end as must_rebuild "
        ~ "from (select coalesce(max(load_id), 0) as newest, coalesce(min(load_id), 0) as oldest from " ~ loads
        ~ ") as loads "
        ~ "left join ops.model_inputs as inputs on inputs.model = '" ~ model.name ~ "' and inputs.input = 'raw' "
        ~ "and inputs.sequence = " ~ built ~ " "
        ~ "left join " ~ loads ~ " as seen_load on inputs.input_sequence = seen_load.load_id "
        ~ "left join " ~ loads ~ " as newest_load on loads.newest = newest_load.load_id"
    ).rows[0] -%}
    {% do return({
        'name': 'raw',
        'seen': state[0] | int if state[0] is not none else none,
        'sequence': state[1] | int,
        'stamp': state[2] if state[2] is not none else '',
        'must_rebuild': state[3] | int == 1,
    }) %}
{% endmacro %}

{# What builds of an input have brought since a build of this model. #}
{% macro model_input(name, built) %}
    {%- set state = run_query(
        "select inputs.input_sequence, builds.sequence, builds.whole_sequence from "
        ~ "(select coalesce(max(sequence), 0) as sequence, coalesce(max(whole_sequence), 0) as whole_sequence "
        ~ "from ops.model_builds where model = '" ~ name ~ "') as builds "
        ~ "left join ops.model_inputs as inputs on inputs.model = '" ~ model.name ~ "' "
        ~ "and inputs.input = '" ~ name ~ "' and inputs.sequence = " ~ built
    ).rows[0] -%}
    {%- set seen = state[0] | int if state[0] is not none else none -%}
    {% do return({
        'name': name,
        'seen': seen,
        'sequence': state[1] | int,
        'stamp': '',
        'must_rebuild': seen is none or seen > state[1] | int or seen < state[2] | int,
    }) %}
{% endmacro %}

{#
    Overrides dbt's own: also rebuilds wholly what cannot be rebuilt in part, or not as fast. `is_incremental`
    and the materialization ask here. Commands that only show a model's SQL (`compile`, `docs`) show the whole.
#}
{% macro should_full_refresh() %}
    {%- if execute and model.resource_type == 'model' and model.config.materialized == 'incremental' -%}
        {% do return(build_plan().is_whole if is_built_by_session() else true) %}
    {%- endif -%}
    {%- set configured = config.get('full_refresh') -%}
    {% do return(flags.FULL_REFRESH if configured is none else configured) %}
{% endmacro %}
