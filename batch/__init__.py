"""The companion runner: import, backfill, build, validate, publish, schedule, reports and the CLI."""
