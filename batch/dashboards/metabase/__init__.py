"""The dashboards in Metabase, created and updated through its REST API."""
