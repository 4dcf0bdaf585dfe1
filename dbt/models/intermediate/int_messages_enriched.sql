with messages as (
    select * from {{ ref('stg_messages') }}
),

local_times as (
    select
        *,
        {{ local_time('written_at') }} as local_written_at
    from messages
),

placed as (
    select
        *,
        {{ time_part('hour', 'local_written_at') }} as hour_of_day,
        {{ time_part('isodow', 'local_written_at') }} as day_of_week,
        -- What is asked for stands at the beginning; what is pasted behind it is full of misleading words.
        left(lower({{ replace_matches('typed_text', 'https?://[^ ]+', '') }}), 500) as request,
        cast(row_number() over (partition by session_id order by written_at nulls last, line_id) as bigint)
            as message_sequence,
        -- Everything after a prompt or command, up to the next one, is its turn; sub-agents open none.
        count(case when user_kind in ('prompt', 'command') and not is_sidechain then 1 end) over (
            partition by session_id order by written_at nulls last, line_id rows unbounded preceding
        ) as turn_number
    from local_times
),

categorised as (
    select
        *,
        {{ time_of_day('hour_of_day') }} as time_of_day,
        case when user_kind = 'prompt' then {{ task_category('request') }} end as task_category
    from placed
)

select * from categorised
