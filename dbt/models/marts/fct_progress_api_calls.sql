{{ config(materialized='incremental') }}

{{ api_call_facts(ref('int_progress_api_calls')) }}
