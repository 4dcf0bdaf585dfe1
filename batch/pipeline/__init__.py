"""The hourly cycle: its steps, their retries, the schedule, metrics and alerts."""
