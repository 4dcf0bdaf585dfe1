"""The dbt build and its documentation."""
