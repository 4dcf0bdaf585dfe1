-- What other models did within an answer: its own totals leave that out.
-- noqa: disable=LT02, LT05
with own_lines as (
    {{ counted_once(ref('base_lines')) }}
),

lines as (
    select * from own_lines
    where iterations is not null and {{ reports_usage() }}
),

entries as (
    {{ json_list_entries('lines', 'iterations', ['line_id', 'written_at', 'date_key', 'model'], [
        'type', 'model', 'input_tokens', 'output_tokens', 'cache_creation_input_tokens', 'cache_read_input_tokens',
        'cache_creation.ephemeral_5m_input_tokens', 'cache_creation.ephemeral_1h_input_tokens',
    ]) }}
),

counted as (
    select
        line_id,
        entry_index,
        written_at,
        date_key,
        case entry_type when 'advisor_message' then 'advisor' else 'fallback' end as iteration_kind,
        coalesce(entry_model, model, 'unknown') as model,
        coalesce({{ to_count('entry_input_tokens') }}, 0) as input_tokens,
        coalesce({{ to_count('entry_output_tokens') }}, 0) as output_tokens,
        {{ to_count('entry_cache_creation_input_tokens') }} as cache_write_tokens,
        {{ to_count('entry_cache_creation_ephemeral_5m_input_tokens') }} as named_5m_tokens,
        coalesce({{ to_count('entry_cache_creation_ephemeral_1h_input_tokens') }}, 0) as cache_write_1h_tokens,
        coalesce({{ to_count('entry_cache_read_input_tokens') }}, 0) as cache_read_tokens
    from entries
    where entry_type in ('advisor_message', 'fallback_message')
),

final as (
    select
        line_id,
        entry_index,
        written_at,
        date_key,
        iteration_kind,
        model,
        input_tokens,
        output_tokens,
        case
            when cache_write_tokens >= cache_write_1h_tokens then cache_write_tokens - cache_write_1h_tokens
            else coalesce(named_5m_tokens, 0)
        end as cache_write_5m_tokens,
        cache_write_1h_tokens,
        cache_read_tokens
    from counted
    -- An attempt that answered nothing is not billed.
    where iteration_kind = 'advisor' or output_tokens > 0
)

select * from final
