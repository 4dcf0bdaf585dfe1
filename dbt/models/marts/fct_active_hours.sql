{{ config(materialized='incremental') }}

with hours as (
    select * from {{ ref('int_active_time') }}
    where {{ is_affected() }}
),

final as (
    select
        {{ surrogate_key(['session_id', 'date_key', 'hour_of_day']) }} as active_hour_key,
        {{ surrogate_key(['session_id']) }} as session_key,
        session_id,
        project_id,
        date_key,
        hour_of_day,
        {{ time_part('isodow', 'date_key') }} as day_of_week,
        line_count,
        active_ms / cast(1000 as {{ double_type() }}) as active_seconds,
        first_written_at,
        last_written_at
    from hours
)

select * from final
