{#
    The key of a model, a column or several: none comes twice, and no part of it is null. dbt's own `unique` and
    `not_null` would compute a view twice for that.
#}
{% test key(model, column_name=none, columns=none) %}
{%- set columns = columns or [column_name] %}
select
    {{ columns | join(', ') }},
    count(*) as times
from {{ model }}
group by {{ columns | join(', ') }}
having count(*) > 1 or {{ columns | join(' is null or ') }} is null
{% endtest %}
