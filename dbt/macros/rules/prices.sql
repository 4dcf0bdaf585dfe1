{#
    The name of a model as the price list has it. Clouds, gateways and editors put providers, regions, dates, versions,
    context sizes and efforts around it: `us.anthropic.claude-sonnet-4-20250514-v1:0`, `claude-sonnet-4@20250514`,
    `anthropic/claude-opus-4.6-fast`, `claude-opus-4-6-v1[1m]`. Some turn it round: `claude-4.5-opus-high-thinking`
    is `claude-opus-4-5`; only the third generation was called so (`claude-3-7-sonnet`). Other vendors' names stay as they
    are. `batch.transform.prices` knows the same rule.
#}
{% macro model_family(model) -%}
    {%- set steps = [
        ('^.*(claude-)', '\\1'),
        ('(@|:|\\[).*$', ''),
        ('[._]', '-'),
        ('-(20[0-9][0-9][0-9][0-9][0-9][0-9].*|latest|default)$', ''),
        ('(-v[0-9]+|-fast|-thinking|-preview|-beta|-1m|-minimal|-low|-medium|-high|-xhigh|-max)+$', ''),
        ('^claude-([4-9]|[1-9][0-9])(-[0-9]+)?-([a-z]+)$', 'claude-\\3-\\1\\2'),
        ('^claude-([a-z]+)-(3|3-[0-9])$', 'claude-\\2-\\1'),
    ] -%}
    {%- set found = namespace(name='lower(' ~ model ~ ')') -%}
    {%- for pattern, replacement in steps -%}
        {%- set found.name = replace_matches(found.name, pattern, replacement) -%}
    {%- endfor -%}
    case when lower({{ model }}) like '%claude-%' then {{ found.name }} else lower({{ model }}) end
{%- endmacro %}

{# Whether the name of a model asks for fast mode. #}
{% macro is_fast_model(model) -%}
    {{ matches('lower(' ~ model ~ ')', 'claude-.*-fast([^a-z].*)?$') }}
{%- endmacro %}

{# The columns of `prices` that a priced row has, and whether it reached the limit above which others hold. #}
{% macro price_columns() -%}
    prices.valid_from as price_valid_from,
    {%- for kind in token_kinds().values() %}
    prices.{{ kind }}_usd,
    prices.{{ kind }}_long_usd,
    {%- endfor %}
    case when is_fast then prices.fast_multiplier else 1 end as fast_factor,
    coalesce(
        input_tokens + cache_write_5m_tokens + cache_write_1h_tokens + cache_read_tokens
        > prices.long_context_above_tokens,
        false
    ) as is_long_context
{%- endmacro %}

{# Whether a row of `prices` is that of a call: by model and UTC day. #}
{% macro is_price_of(calls, instant) -%}
    {{ calls }}.model_family = prices.model_family
    and coalesce({{ utc_date(instant) }}, {{ calls }}.date_key) between prices.valid_from and prices.valid_to
{%- endmacro %}

{# Kinds of tokens, and what their prices are called. #}
{% macro token_kinds() -%}
    {% do return({
        'input_tokens': 'input',
        'output_tokens': 'output',
        'cache_write_5m_tokens': 'cache_write_5m',
        'cache_write_1h_tokens': 'cache_write_1h',
        'cache_read_tokens': 'cache_read',
    }) %}
{%- endmacro %}

{#
    The cost of each kind of token in millionths of a dollar, as a list of expressions: its price per million, with a
    long context (input of all kinds above the limit of the price) the long-context one. Fast mode multiplies
    (`fast_factor`). Null without a price: an unknown model is never free.
#}
{% macro token_costs() -%}
    {%- set costs = [] -%}
    {%- for tokens, kind in token_kinds().items() -%}
        {%- do costs.append(
            tokens ~ ' * case when is_long_context then ' ~ kind ~ '_long_usd else ' ~ kind ~ '_usd end'
        ) -%}
    {%- endfor -%}
    {% do return(costs) %}
{%- endmacro %}

{# What keeping the inference in a region multiplies the price of all tokens by. #}
{% macro geography_factor() -%}
    case when lower(inference_geo) = 'us' then {{ var('us_inference_factor') }} else 1 end
{%- endmacro %}

{# What a batch, which may wait for a day, multiplies it by. #}
{% macro batch_factor() -%}
    case when service_tier = 'batch' then {{ var('batch_factor') }} else 1 end
{%- endmacro %}
