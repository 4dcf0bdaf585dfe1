{# Server of an MCP tool, whose name is `mcp__<server>__<tool>`; null for any other. #}
{% macro mcp_server(tool_name) -%}
    case when {{ tool_name }} like 'mcp|_|_%' escape '|' then nullif(split_part({{ tool_name }}, '__', 2), '') end
{%- endmacro %}

{# Tool of an MCP server, as the server calls it. #}
{% macro mcp_tool(tool_name) -%}
    case
        when {{ tool_name }} like 'mcp|_|_%' escape '|'
            then nullif(
                substr({{ tool_name }}, length('mcp__' || split_part({{ tool_name }}, '__', 2) || '__') + 1), ''
            )
    end
{%- endmacro %}

{# Whether a tool changes files by itself; what others change, they change through a shell or a server. #}
{% macro changes_files(tool_name) -%}
    {{ tool_name }} in ('Write', 'Edit', 'MultiEdit', 'NotebookEdit')
{%- endmacro %}

{# Whether a tool only reads files. #}
{% macro reads_files(tool_name) -%}
    {{ tool_name }} in ('Read', 'NotebookRead')
{%- endmacro %}

{# Whether an error text says that the user turned the call down: a decision, not a failure. #}
{% macro is_rejection(text) -%}
    (
        {{ text }} like {{ text_constant("%user doesn't want to proceed with this tool use%") }}
        or {{ text }} like {{ text_constant("%user doesn't want to take this action right now%") }}
        or {{ text }} like '%user rejected%'
        or {{ text }} like '%User rejected%'
        or {{ text }} like '%Request interrupted by user for tool use%'
    )
{%- endmacro %}

{# Kind of a tool error by its text; the first rule that holds decides. #}
{% macro error_category(text) -%}
    case
        when {{ is_rejection(text) }} then 'rejected_by_user'
        when {{ text }} like '%String to replace not found%' or {{ text }} like '%old_string not found%'
            then 'text_not_found'
        when {{ text }} like '%matches of the string to replace%' then 'text_not_unique'
        when {{ text }} like '%has not been read yet%' or {{ text }} like '%modified since read%'
            then 'file_not_read'
        when
            {{ text }} like '%permission%' or {{ text }} like '%requires approval%'
            or {{ text }} like '%Permission%' or {{ text }} like '%was blocked%'
            then 'permission_denied'
        when {{ text }} like '%timed out%' or {{ text }} like '%timeout%' then 'timeout'
        when
            {{ text }} like '%does not exist%' or {{ text }} like '%No such file or directory%'
            or {{ text }} like '%ENOENT%'
            then 'path_not_found'
        when {{ text }} like '%InputValidationError%' or {{ text }} like '%No such tool available%'
            then 'invalid_input'
        when {{ text }} like 'Exit code %' or {{ text }} like 'Error: Exit code %' or {{ text }} like '%Command failed%'
            then 'command_failed'
        else 'other'
    end
{%- endmacro %}

{# Language of a file by its extension in lower case; null for what is no text of a known kind. #}
{% macro language_of(extension) -%}
    case
        when {{ extension }} in ('py', 'pyi') then 'Python'
        when {{ extension }} = 'ipynb' then 'Jupyter'
        when {{ extension }} in ('ts', 'tsx', 'mts', 'cts') then 'TypeScript'
        when {{ extension }} in ('js', 'jsx', 'mjs', 'cjs') then 'JavaScript'
        when {{ extension }} in ('html', 'htm') then 'HTML'
        when {{ extension }} in ('css', 'scss', 'sass', 'less') then 'CSS'
        when {{ extension }} in ('vue', 'svelte', 'astro') then 'Web component'
        when {{ extension }} = 'go' then 'Go'
        when {{ extension }} = 'rs' then 'Rust'
        when {{ extension }} in ('java', 'kt', 'kts', 'scala', 'groovy', 'gradle') then 'JVM'
        when {{ extension }} in ('c', 'h', 'cc', 'cpp', 'cxx', 'hpp', 'hh') then 'C/C++'
        when {{ extension }} in ('cs', 'fs', 'vb') then '.NET'
        when {{ extension }} = 'swift' then 'Swift'
        when {{ extension }} = 'rb' then 'Ruby'
        when {{ extension }} = 'php' then 'PHP'
        when {{ extension }} in ('ex', 'exs', 'erl') then 'Elixir/Erlang'
        when {{ extension }} in ('sh', 'bash', 'zsh', 'fish', 'ps1', 'bat') then 'Shell'
        when {{ extension }} = 'sql' then 'SQL'
        when {{ extension }} in ('md', 'mdx', 'rst', 'txt', 'adoc') then 'Text'
        when {{ extension }} in ('json', 'jsonl', 'json5') then 'JSON'
        when {{ extension }} in ('yml', 'yaml') then 'YAML'
        when {{ extension }} in ('toml', 'ini', 'cfg', 'conf', 'env', 'properties') then 'Configuration'
        when {{ extension }} in ('tf', 'hcl', 'nix', 'dockerfile') then 'Infrastructure'
        when {{ extension }} in ('xml', 'svg', 'plist') then 'XML'
        when {{ extension }} in ('proto', 'graphql', 'gql', 'prisma') then 'Schema'
    end
{%- endmacro %}

{# Category of a tool: the seed's, else `mcp` by its name; tools nobody has sorted yet say so. #}
{% macro tool_category(tool_name, seed_category) -%}
    coalesce(
        {{ seed_category }},
        case when {{ tool_name }} like 'mcp|_|_%' escape '|' then 'mcp' else 'uncategorised' end
    )
{%- endmacro %}
