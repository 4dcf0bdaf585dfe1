"""The gate before publishing: what must hold for the data, and Great Expectations to check it."""
