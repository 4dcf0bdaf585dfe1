{#
    The name of a model as the price list has it: `us.anthropic.claude-sonnet-4-20250514-v1:0`,
    `claude-sonnet-4@20250514`, `anthropic/claude-sonnet-4.5` and `claude-opus-4-6[1m]` all lose what stands
    around the name.
#}
{% macro model_family(model) -%}
    replace(
        {{ replace_matches(
            replace_matches(
                replace_matches('lower(' ~ model ~ ')', '^.*(claude-)', '\\1'),
                '([@:[].*|-v[0-9]+(:.*)?)$',
                ''
            ),
            '-(20[0-9][0-9][0-9][0-9][0-9][0-9].*|latest)$',
            ''
        ) }},
        '.',
        '-'
    )
{%- endmacro %}

{#
    Cost of one API call in US dollars: each kind of token at its own price per million. With a long context
    (its input of all kinds above the limit of the price) every kind costs its long-context price. Fast mode
    multiplies. Null without a price: an unknown model is never free.
#}
{% macro cost_usd() -%}
    {%- set kinds = {
        'input_tokens': 'input',
        'output_tokens': 'output',
        'cache_write_5m_tokens': 'cache_write_5m',
        'cache_write_1h_tokens': 'cache_write_1h',
        'cache_read_tokens': 'cache_read',
    } -%}
    case when is_fast then fast_multiplier else 1 end * (
        {%- for tokens, kind in kinds.items() %}
        {{ '+ ' if not loop.first }}{{ tokens }} * case
            when is_long_context then {{ kind }}_long_usd else {{ kind }}_usd
        end
        {%- endfor %}
    ) / 1000000
{%- endmacro %}
