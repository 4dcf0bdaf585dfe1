-- The lines of answers that have no name of their own (see `answer_name`), or another one's: few or none, in logs
-- that Claude Code wrote without anything between it and the API.
{{ config(materialized='incremental') }}

-- What macros write is laid out for them, not for this file.
-- noqa: disable=LT02, LT05
with messages as (
    select
        lines.line_id,
        lines.session_id,
        lines.line_key,
        lines.line_uuid,
        lines.parent_uuid,
        lines.role,
        lines.message_id,
        lines.request_id,
        lines.answer_name,
        coalesce(lines.model, '') as model,
        lines.output_tokens,
        lines.is_sidechain,
        lines.written_at,
        lines.source_version,
        {{ thread() }} as thread,
        {{ prompt_tokens() }} as prompt_tokens
    from {{ ref('base_lines') }} as lines
    where lines.is_message and coalesce(lines.model, '') <> '<synthetic>' and {{ is_affected('lines.session_id') }}
),

repetitions as (
    select line_id from {{ ref('base_line_copies') }}
    where is_repetition
),

-- A sub-agent's log may begin with its caller's answers, under new request ids.
replayed as (
    select
        session_id,
        message_id,
        model,
        prompt_tokens,
        coalesce(output_tokens, 0) as output_tokens,
        min(answer_name) as answer_name
    from messages
    where role = 'assistant' and not is_sidechain and answer_name is not null
    group by session_id, message_id, model, prompt_tokens, coalesce(output_tokens, 0)
),

replays as (
    select
        messages.line_id,
        messages.session_id,
        min(replayed.answer_name) as answer_id
    from messages
    inner join replayed
        on
            messages.session_id = replayed.session_id
            and messages.message_id = replayed.message_id
            and messages.model = replayed.model
            and messages.prompt_tokens = replayed.prompt_tokens
            -- A message id that is none must not fold what merely begins alike.
            and (
                coalesce(messages.output_tokens, 0) = replayed.output_tokens
                or {{ matches('messages.message_id', '^msg_[A-Za-z0-9_]{16,}$') }}
            )
    where messages.role = 'assistant' and messages.is_sidechain
    group by messages.line_id, messages.session_id
),

nameless_sessions as (
    select distinct session_id from messages
    where role = 'assistant' and answer_name is null
),

ordered as (
    select
        messages.*,
        count(case when messages.role = 'user' then 1 end) over (
            partition by messages.session_id, messages.thread
            order by messages.written_at nulls last, messages.source_version, messages.line_id
            rows unbounded preceding
        ) as user_lines_before
    from messages
    inner join nameless_sessions on messages.session_id = nameless_sessions.session_id
    left join repetitions on messages.line_id = repetitions.line_id
    where repetitions.line_id is null
),

{% set in_order = 'partition by session_id, thread order by written_at nulls last, source_version, line_id' -%}
compared as (
    select
        *,
        row_number() over ({{ in_order }}) as place,
        {%- for column in [
            'message_id', 'request_id', 'answer_name', 'model', 'prompt_tokens', 'line_uuid', 'user_lines_before',
        ] %}
        lag({{ column }}) over ({{ in_order }}) as last_{{ column }}{{ ',' if not loop.last }}
        {%- endfor %}
    from ordered
    where role = 'assistant'
),

parted as (
    select
        *,
        -- The lines of one answer have one prompt, and nobody speaks between them; where results of its tools
        -- do, the next line still names the last one as its parent.
        case
            when
                place > 1
                and coalesce(message_id, '') = coalesce(last_message_id, '')
                and coalesce(request_id, '') = coalesce(last_request_id, '')
                and coalesce(answer_name, '') = coalesce(last_answer_name, '')
                and model = last_model
                and (prompt_tokens = last_prompt_tokens or prompt_tokens = 0 or last_prompt_tokens = 0)
                and (user_lines_before = last_user_lines_before or parent_uuid = last_line_uuid)
                then 0
            else 1
        end as begins_answer
    from compared
),

numbered as (
    select
        *,
        sum(begins_answer) over ({{ in_order }} rows unbounded preceding) as answer_number
    from parted
),

nameless as (
    select
        line_id,
        session_id,
        {{ surrogate_key([
            'session_id',
            'first_value(line_key) over (partition by session_id, thread, answer_number order by place)',
        ]) }} as answer_id
    from numbered
    where answer_name is null
),

answers as (
    select * from replays

    union all

    select nameless.*
    from nameless
    left join replays on nameless.line_id = replays.line_id
    where replays.line_id is null
)

select * from answers
