{{ config(materialized='incremental') }}

{{ api_call_facts(ref('int_api_calls')) }}
