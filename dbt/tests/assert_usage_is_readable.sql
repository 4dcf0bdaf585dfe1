-- An answer of the API without usage, or with usage that is no number: the log's format may have changed.
{{ config(severity='warn') }}

select
    line_id,
    client_version
from {{ ref('base_lines') }}
where
    unreadable_counts > 0
    or (
        is_message
        and role = 'assistant'
        and (message_id is not null or model is not null)
        and coalesce(model, '') <> '<synthetic>'
        and (input_tokens is null or output_tokens is null)
    )
