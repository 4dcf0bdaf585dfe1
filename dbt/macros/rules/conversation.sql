{#
    The conversation a source file belongs to: its name, or for a sub-agent's file the folder above
    `subagents`. For lines that do not say it themselves.
#}
{% macro session_of_file(source_file) -%}
    coalesce(
        {{ extract_match(source_file, '([^/]+)/subagents/') }},
        {{ extract_match(replace_matches(source_file, '[.]jsonl$', ''), '([^/]+)$') }},
        'unknown'
    )
{%- endmacro %}

{# A folder in one spelling: forward slashes, no slash at the end, the drive letter in upper case. #}
{% macro normal_path(path) -%}
    nullif(
        case
            when {{ matches(path, '^[a-z]:') }}
                then upper(left({{ path }}, 1)) || {{ replace_matches("replace(substr(" ~ path ~ ", 2), chr(92), '/')", '/+$', '') }}
            when {{ matches(path, '^[A-Z]:') }} or {{ path }} like chr(92) || chr(92) || '%'
                then {{ replace_matches("replace(" ~ path ~ ", chr(92), '/')", '/+$', '') }}
            else {{ replace_matches(path, '/+$', '') }}
        end,
        ''
    )
{%- endmacro %}

{#
    The repository a working folder belongs to, where worktrees are folded into what they were made from:
    `<root>/.claude/worktrees/<name>`, `<root>/.worktrees/<name>`, `<root>/.git/worktrees/<name>`,
    `<root>-worktrees/<name>` and `<root>.worktrees/<name>`.
#}
{% macro project_root(folder) -%}
    {{ replace_matches(
        replace_matches(folder, '/[.](claude/|git/)?worktrees/.*$', ''),
        '[-.]worktrees/.*$',
        ''
    ) }}
{%- endmacro %}
