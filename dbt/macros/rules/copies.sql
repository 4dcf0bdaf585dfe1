{#
    A query: the lines, or the blocks of lines, that count, with the `project_id` of their conversation. A forked or
    resumed conversation repeats lines of the first one under its own id, and the same line may have been imported
    twice: each counts once, for the conversation that had it first. `copy_count` says how often it is repeated.

    Args:
        relation: Relation with `line_id` and `session_id`.
#}
{% macro counted_once(relation) -%}
    select
        counted.*,
        coalesce(copies.line_count, 1) - 1 as copy_count,
        sessions.project_id
    from {{ relation }} as counted
    left join {{ ref('base_line_copies') }} as copies on counted.line_id = copies.line_id
    left join {{ ref('base_sessions') }} as sessions on counted.session_id = sessions.session_id
    where copies.is_copy is null or not copies.is_copy
{%- endmacro %}
