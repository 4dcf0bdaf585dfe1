"""What `status` shows: stream, warehouse, runs and published build."""
