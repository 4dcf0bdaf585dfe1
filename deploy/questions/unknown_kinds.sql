/*
title = "What no model knows yet"
answers = "Does a newer Claude Code write something that we do not read?"
dashboard = "Pipeline Health"
position = 95
display = "table"
by = "kind"
series = "first_version"
may_be_empty = true
spans_projects = true
note = "Nothing of it is lost: its lines are kept as they are, and count once a model reads them."

[columns]
day = "date"
kind = "text"
first_version = "text"
occurrences = "count"
conversations = "count"

[[measures]]
label = "Occurrences"
of = "occurrences"

[[measures]]
label = "Conversations"
of = "conversations"
*/
select
    date_key as day,
    case kind
        when 'line_type' then 'Line type '
        when 'line_subtype' then 'Subtype '
        when 'block_type' then 'Content block '
        when 'usage_field' then 'Usage field '
        else 'Tool '
    end || name as kind,
    'since ' || first_version as first_version,
    occurrences,
    sessions as conversations
from marts.agg_unknown_kinds
