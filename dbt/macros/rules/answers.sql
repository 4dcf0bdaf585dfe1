{#
    The name of the answer of the API that a line belongs to: message id and request id. Null where these are no
    identity: programs that stand between Claude Code and a model give constant ids, or none. A message id alone
    is one only in the form that Anthropic's own have.
#}
{% macro answer_name(message_id, request_id) -%}
    case
        when {{ message_id }} is not null and {{ request_id }} is not null then {{ message_id }} || ':' || {{ request_id }}
        when {{ matches(message_id, '^msg_[A-Za-z0-9_]{16,}$') }} then {{ message_id }} || ':'
    end
{%- endmacro %}

{# Who speaks: the conversation itself, or one of its sub-agents. Older versions do not say which one. #}
{% macro thread() -%}
    coalesce(agent_id, case when is_sidechain then 'sidechain' else '' end)
{%- endmacro %}

{# What an answer was made from: the tokens that were sent, of all kinds. #}
{% macro prompt_tokens() -%}
    coalesce(input_tokens, 0) + coalesce(cache_read_tokens, 0) + coalesce(
        cache_write_tokens, coalesce(cache_write_5m_tokens, 0) + coalesce(cache_write_1h_tokens, 0)
    )
{%- endmacro %}

{# The answer that a line or block belongs to: by name, as found out, or a line of its own. #}
{% macro answer_id(blocks, answers) -%}
    coalesce({{ answers }}.answer_id, {{ blocks }}.answer_name, {{ blocks }}.line_id)
{%- endmacro %}

{#
    Identity of a tool call: its conversation, the answer that made it, and its id. One answer may use an id twice:
    then what is asked for tells the calls apart, and in one line their order. Lines of an answer that repeat a call
    are one.

    A line has one conversation, which is named in the window all the same: engines look for a condition on it there.
#}
{% macro tool_call_id(blocks, answers) -%}
    {{ surrogate_key([
        blocks ~ '.session_id',
        answer_id(blocks, answers),
        blocks ~ '.tool_use_id',
        blocks ~ '.input_digest',
        'row_number() over (partition by ' ~ blocks ~ '.session_id, ' ~ blocks ~ '.line_id, ' ~ blocks
        ~ '.block_type, ' ~ blocks ~ '.tool_use_id, ' ~ blocks ~ '.input_digest order by ' ~ blocks ~ '.block_index)',
    ]) }}
{%- endmacro %}
