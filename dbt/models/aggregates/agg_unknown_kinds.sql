-- What a newer Claude Code writes that no model knows yet. Nothing of it is lost: it is in `raw`.
-- Millions of lines have the same few kinds and sets of fields: only what is unknown of these is looked for in the
-- lines.
with known_kinds as (
    select * from {{ ref('known_kinds') }}
),

kinds_of_lines as (
    select
        line_type,
        line_subtype
    from {{ ref('base_lines') }}
    group by line_type, line_subtype
),

named_kinds as (
    select
        line_type,
        line_subtype,
        'line_type' as kind,
        coalesce(line_type, 'none') as name
    from kinds_of_lines
    union all
    select
        line_type,
        line_subtype,
        'line_subtype' as kind,
        line_type || '/' || line_subtype as name
    from kinds_of_lines
    where line_subtype is not null
),

unknown_kinds as (
    select named_kinds.*
    from named_kinds
    left join known_kinds on named_kinds.kind = known_kinds.kind and named_kinds.name = known_kinds.name
    where known_kinds.name is null
),

line_kinds as (
    select
        unknown_kinds.kind,
        unknown_kinds.name,
        lines.session_id,
        lines.client_version,
        lines.written_at,
        lines.date_key
    from {{ ref('base_lines') }} as lines
    inner join unknown_kinds
        on
            lines.line_type is not distinct from unknown_kinds.line_type
            and lines.line_subtype is not distinct from unknown_kinds.line_subtype
),

field_sets as (
    select distinct usage_fields
    from {{ ref('base_lines') }}
    where usage_fields is not null
),

fields as (
    select
        usage_fields,
        {{ each_part('usage_fields') }} as name
    from field_sets
),

unknown_fields as (
    select fields.*
    from fields
    left join known_kinds on fields.name = known_kinds.name and known_kinds.kind = 'usage_field'
    where known_kinds.name is null
),

usage_fields as (
    select
        'usage_field' as kind,
        unknown_fields.name,
        lines.session_id,
        lines.client_version,
        lines.written_at,
        lines.date_key
    from {{ ref('base_lines') }} as lines
    inner join unknown_fields on lines.usage_fields = unknown_fields.usage_fields
),

block_types as (
    select
        'block_type' as kind,
        coalesce(blocks.block_type, 'none') as name,
        blocks.session_id,
        lines.client_version,
        blocks.written_at,
        blocks.date_key
    from {{ ref('base_blocks') }} as blocks
    inner join {{ ref('base_lines') }} as lines on blocks.line_id = lines.line_id
    where blocks.block_type is null or blocks.block_type not in ('tool_use', 'tool_result')
),

tools as (
    select
        'tool' as kind,
        tool_calls.tool_name as name,
        tool_calls.session_id,
        lines.client_version,
        tool_calls.created_at as written_at,
        tool_calls.date_key
    from {{ ref('fct_tool_calls') }} as tool_calls
    inner join {{ ref('base_lines') }} as lines on tool_calls.line_id = lines.line_id
    where tool_calls.tool_category = 'uncategorised'
),

found as (
    select * from line_kinds
    union all
    select * from usage_fields
    union all
    select * from block_types
    union all
    select * from tools
),

unknown as (
    select found.*
    from found
    left join known_kinds on found.kind = known_kinds.kind and found.name = known_kinds.name
    where known_kinds.name is null
),

versions as (
    select
        *,
        first_value(coalesce(client_version, 'unknown')) over (
            partition by kind, name
            order by
                -- Lines that know neither say nothing of when a kind came up.
                case when written_at is null or client_version is null then 1 else 0 end,
                written_at nulls last,
                client_version nulls last
        ) as first_version
    from unknown
),

final as (
    select
        {{ surrogate_key(['kind', 'name']) }} as unknown_kind_key,
        kind,
        name,
        count(*) as occurrences,
        count(distinct session_id) as sessions,
        min(first_version) as first_version,
        min(date_key) as date_key,
        max(date_key) as last_date_key
    from versions
    group by kind, name
)

select * from final
