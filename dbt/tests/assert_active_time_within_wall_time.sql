-- Nobody works longer in a conversation than it lasts.
select
    session_id,
    active_seconds,
    duration_seconds
from {{ ref('dim_sessions') }}
where active_seconds > duration_seconds + 0.001 or active_seconds < 0
