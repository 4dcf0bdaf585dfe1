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
            when {{ matches(path, '^[A-Z]:') }} or left({{ path }}, 2) = chr(92) || chr(92)
                then {{ replace_matches("replace(" ~ path ~ ", chr(92), '/')", '/+$', '') }}
            else {{ replace_matches(path, '/+$', '') }}
        end,
        ''
    )
{%- endmacro %}

{#
    A pattern of `worktree_rules` as a regular expression: `~` is any person's home folder.
#}
{% macro folder_pattern(pattern) -%}
    replace({{ pattern }}, '~', '(?:/home/[^/]+|/Users/[^/]+|/root|/mnt/[a-z]/Users/[^/]+|[A-Z]:/Users/[^/]+)')
{%- endmacro %}

{#
    The project that a folder was given in `PROJECT_ALIASES`, null without one. An alias holds for the folder and
    everything below it, the longest one decides.
#}
{% macro aliased_project(folder) -%}
    {%- set aliases = fromjson(var('project_aliases')) or {} -%}
    case
        {#- Reversed, a folder comes before the ones that it lies in. #}
        {%- for alias in aliases.keys() | sort(reverse=true) %}
        when
            {{ folder }} = {{ text_constant(alias) }}
            or left({{ folder }}, length({{ text_constant(alias) }}) + 1) = {{ text_constant(alias ~ '/') }}
            then {{ text_constant(aliases[alias]) }}
        {%- endfor %}
        when false then ''
    end
{%- endmacro %}
