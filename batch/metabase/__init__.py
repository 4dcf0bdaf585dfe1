"""The questions as dashboards in Metabase, kept there through its REST API."""
