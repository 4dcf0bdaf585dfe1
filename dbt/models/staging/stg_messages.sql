-- Each CTE is read once: what an engine keeps to read it again, it makes of all conversations, with all of its columns.
-- noqa: disable=LT02
with own_lines as (
    {{ counted_once(ref('base_lines')) }}
),

own_prompts as (
    {{ counted_once(ref('base_lines')) }}
),

own_repetitions as (
    {{ counted_once(ref('base_lines')) }}
),

queued_prompts as (
    select
        line_id,
        session_id,
        typed_text,
        written_at,
        row_number() over (partition by session_id, typed_text order by written_at nulls last, line_id) as queue_place
    from own_prompts
    where is_message and is_queued_prompt and typed_text is not null
),

-- A user line that says the same, soon before at the earliest, is the queued prompt as it was sent.
repeated_prompts as (
    select queued_prompts.line_id
    from queued_prompts
    inner join own_repetitions
        on
            queued_prompts.session_id = own_repetitions.session_id
            and queued_prompts.typed_text = own_repetitions.typed_text
            and {{ milliseconds_between('queued_prompts.written_at', 'own_repetitions.written_at') }} >= -60000
    where
        own_repetitions.is_message
        and not own_repetitions.is_queued_prompt
        -- Known from the join, but said here it keeps an engine from reading nine lines of ten.
        and own_repetitions.typed_text is not null
    group by queued_prompts.line_id, queued_prompts.queue_place
    having queued_prompts.queue_place <= count(*)
),

counted_lines as (
    select own_lines.*
    from own_lines
    left join repeated_prompts on own_lines.line_id = repeated_prompts.line_id
    where own_lines.is_message and repeated_prompts.line_id is null
),

with_kind as (
    select
        line_id,
        line_key,
        session_id,
        project_id,
        role,
        case when role = 'user' then {{ user_kind("coalesce(typed_text, '')") }} end as user_kind,
        typed_text,
        content_length,
        has_code_block,
        written_at,
        date_key,
        is_sidechain,
        agent_id,
        message_id,
        model,
        git_branch,
        client_version,
        permission_mode,
        copy_count
    from counted_lines
)

select * from with_kind
