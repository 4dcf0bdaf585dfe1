"""Preflight: what must be there for the platform to run, and what to do where it is not."""
