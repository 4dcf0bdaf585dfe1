"""The landing zone: the log of immutable Parquet files, and the dead letters beside it."""
