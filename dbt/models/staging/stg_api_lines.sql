-- Lines that report what an API call used, with what calls are made of; `api_call_ctes` adds what else a line says.
-- noqa: disable=LT02
with own_lines as (
    {{ counted_once(ref('base_lines')) }}
),

lines as (
    select * from own_lines
    where {{ reports_usage() }}
),

answers as (
    select * from {{ ref('base_answers') }}
),

with_call as (
    select
        lines.line_id,
        lines.session_id,
        lines.project_id,
        case
            when not lines.is_agent_progress then {{ answer_id('lines', 'answers') }}
            when lines.answer_name is not null then lines.answer_name
            -- Progress repeats an answer often; the same id and prompt in one conversation are one.
            when lines.message_id is not null
                then {{ surrogate_key(['lines.session_id', 'lines.message_id', 'lines.model', prompt_tokens()]) }}
            else lines.line_key
        end as call_id,
        lines.message_id,
        lines.request_id,
        coalesce(lines.model, 'unknown') as model,
        lines.stop_reason,
        coalesce(lines.input_tokens, 0) as input_tokens,
        coalesce(lines.output_tokens, 0) as output_tokens,
        -- What is not said to live for an hour lives for five minutes.
        case
            when lines.cache_write_tokens is null then coalesce(lines.cache_write_5m_tokens, 0)
            when lines.cache_write_tokens >= coalesce(lines.cache_write_1h_tokens, 0)
                then lines.cache_write_tokens - coalesce(lines.cache_write_1h_tokens, 0)
            else coalesce(lines.cache_write_5m_tokens, 0)
        end as cache_write_5m_tokens,
        coalesce(lines.cache_write_1h_tokens, 0) as cache_write_1h_tokens,
        coalesce(lines.cache_read_tokens, 0) as cache_read_tokens,
        lines.iterations,
        coalesce(lines.web_search_requests, 0) as web_search_requests,
        coalesce(lines.service_tier, 'standard') as service_tier,
        lines.inference_geo,
        coalesce(lines.speed = 'fast', false) or {{ is_fast_model("coalesce(lines.model, '')") }} as is_fast,
        lines.is_agent_progress,
        lines.is_sidechain,
        lines.written_at,
        lines.date_key
    from lines
    left join answers on lines.line_id = answers.line_id
)

select * from with_call
