{# An instant on the wall clock of the reporting time zone. #}
{% macro local_time(instant) -%}
    {{ adapter.dispatch('local_time')(instant) }}
{%- endmacro %}

{# Without a look into the time zone database where that changes nothing: ten times as fast. #}
{% macro duckdb__local_time(instant) -%}
    {%- if var('reporting_timezone') == 'UTC' -%}
    make_timestamp(epoch_us({{ instant }}))
    {%- else -%}
    timezone('{{ var("reporting_timezone") }}', {{ instant }})
    {%- endif -%}
{%- endmacro %}

{% macro default__local_time(instant) -%}
    timezone('{{ var("reporting_timezone") }}', {{ instant }})
{%- endmacro %}

{# The day an instant falls on in the reporting time zone. #}
{% macro local_date(instant) -%}
    {{ calendar_day(local_time(instant)) }}
{%- endmacro %}

{# The day of a wall-clock time. A time zone may push an instant out of the years 1 to 9999, which no reader knows. #}
{% macro calendar_day(wall_time) -%}
    greatest(least(cast({{ wall_time }} as date), cast('9999-12-31' as date)), cast('0001-01-01' as date))
{%- endmacro %}

{# The day an instant falls on in UTC; prices change on UTC days. #}
{% macro utc_date(instant) -%}
    {{ adapter.dispatch('utc_date')(instant) }}
{%- endmacro %}

{% macro default__utc_date(instant) -%}
    cast(timezone('UTC', {{ instant }}) as date)
{%- endmacro %}

{# Milliseconds between two instants. #}
{% macro milliseconds_between(start, finish) -%}
    {{ adapter.dispatch('milliseconds_between')(start, finish) }}
{%- endmacro %}

{% macro duckdb__milliseconds_between(start, finish) -%}
    (epoch_ms({{ finish }}) - epoch_ms({{ start }}))
{%- endmacro %}

{% macro default__milliseconds_between(start, finish) -%}
    cast(
        floor(extract(epoch from {{ finish }}) * 1000) - floor(extract(epoch from {{ start }}) * 1000) as bigint
    )
{%- endmacro %}

{# English name of a day of the week, 1 = Monday; not the engine's, whose names follow its locale. #}
{% macro day_name(isodow) -%}
    case {{ isodow }}
        when 1 then 'Monday'
        when 2 then 'Tuesday'
        when 3 then 'Wednesday'
        when 4 then 'Thursday'
        when 5 then 'Friday'
        when 6 then 'Saturday'
        when 7 then 'Sunday'
    end
{%- endmacro %}

{# A part of a date or of a wall-clock time as a whole number. #}
{% macro time_part(part, value) -%}
    {{ adapter.dispatch('time_part')(part, value) }}
{%- endmacro %}

{% macro default__time_part(part, value) -%}
    cast(extract({{ part }} from {{ value }}) as integer)
{%- endmacro %}

{# A table `series(number)` of the whole numbers from 0 up to a bound, without it. #}
{% macro number_series(bound) -%}
    {{ adapter.dispatch('number_series')(bound) }}
{%- endmacro %}

{% macro duckdb__number_series(bound) -%}
    generate_series(0, {{ bound }} - 1) as series (number)
{%- endmacro %}

{% macro default__number_series(bound) -%}
    generate_series(0, {{ bound }} - 1) as series (number)
{%- endmacro %}

{# Days from one date to another. #}
{% macro days_between(first_day, last_day) -%}
    {{ adapter.dispatch('days_between')(first_day, last_day) }}
{%- endmacro %}

{% macro default__days_between(first_day, last_day) -%}
    ({{ last_day }} - {{ first_day }})
{%- endmacro %}

{# A date so many days later. #}
{% macro days_after(day, days) -%}
    cast({{ day }} + cast({{ days }} as integer) as date)
{%- endmacro %}

{# Milliseconds since 1970 of an instant. #}
{% macro epoch_milliseconds(instant) -%}
    {{ adapter.dispatch('epoch_milliseconds')(instant) }}
{%- endmacro %}

{% macro duckdb__epoch_milliseconds(instant) -%}
    epoch_ms({{ instant }})
{%- endmacro %}

{% macro default__epoch_milliseconds(instant) -%}
    cast(floor(extract(epoch from {{ instant }}) * 1000) as bigint)
{%- endmacro %}

{# The instant so many milliseconds after 1970. #}
{% macro instant_of(milliseconds) -%}
    {{ adapter.dispatch('instant_of')(milliseconds) }}
{%- endmacro %}

{% macro duckdb__instant_of(milliseconds) -%}
    make_timestamptz(cast({{ milliseconds }} as bigint) * 1000)
{%- endmacro %}

{% macro default__instant_of(milliseconds) -%}
    (timestamp with time zone 'epoch' + ({{ milliseconds }}) * interval '1 millisecond')
{%- endmacro %}

{# The first day of a date's month. #}
{% macro month_of(day) -%}
    {{ days_after(day, '1 - ' ~ time_part('day', day)) }}
{%- endmacro %}

{# The last day of the month that a date begins. #}
{% macro last_day_of_month(first_day) -%}
    {{ days_after(month_of(days_after(first_day, 31)), -1) }}
{%- endmacro %}

{# An instant as the text that keys are made of. #}
{% macro instant_text(instant) -%}
    {{ adapter.dispatch('instant_text')(instant) }}
{%- endmacro %}

{% macro default__instant_text(instant) -%}
    cast({{ instant }} as {{ dbt.type_string() }})
{%- endmacro %}
