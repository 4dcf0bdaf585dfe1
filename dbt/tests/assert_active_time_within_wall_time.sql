-- No conversation ends before it begins, and nobody works longer in one than it lasts.
select
    session_id,
    session_start,
    session_end,
    active_seconds,
    duration_seconds
from {{ ref('dim_sessions') }}
where
    session_end < session_start
    or active_seconds > duration_seconds + 0.001
    or active_seconds < 0
