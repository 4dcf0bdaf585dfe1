"""The always-on worker: MongoDB change stream → Parquet micro-batches → DuckDB `raw`, exactly once."""
