{# The key of a model that has no column of its own for it: no combination comes twice, and no part of it is null. #}
{% test unique_combination(model, columns) %}
select
    {{ columns | join(', ') }},
    count(*) as times
from {{ model }}
group by {{ columns | join(', ') }}
having count(*) > 1 or {{ columns | join(' is null or ') }} is null
{% endtest %}
