"""DuckDB `raw`: each landed micro-batch loaded exactly once."""
