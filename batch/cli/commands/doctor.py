"""Check everything the platform needs: MongoDB, privileges, oplog, disk, files, warehouse, ports.

Each line is ok, warn or fail, and says what to do. Exit code 2 if a line fails.
"""

import json

import typer

from batch.cli.context import Context
from batch.cli.lake import examine_lake
from batch.cli.options import AsJson
from batch.doctor.check import Check, failed
from batch.doctor.examine import Doctor, examine_remote
from batch.doctor.facts import Address
from batch.doctor.store import judge_credentials
from stream.errors import AnalyticsError

_COLOURS = {"ok": "green", "warn": "yellow", "fail": "bold red"}


def command(as_json: AsJson = False) -> None:
    context = Context.from_environment(quiet=True)
    settings = context.settings
    checks = _examine_remote(context) if settings.data.is_remote else _examine(context)
    if settings.lake.is_iceberg:
        checks = [check for check in checks if check.name != "warehouse"] + examine_lake(context)
    if as_json:
        context.console.print_json(json.dumps([check.to_json() for check in checks]))
    else:
        _print_checks(checks, context)
    if any(check.level == "fail" for check in checks):
        raise typer.Exit(2)


def _examine_remote(context: Context) -> list[Check]:
    try:
        checks = examine_remote(context.mongo, context.landed_objects)
        from stream.storage.objects import credentials_of  # noqa: PLC0415 - an extra

        checks.append(judge_credentials(credentials_of(context.settings.data.url or "")))
    except AnalyticsError as error:
        return [failed("store", error)]
    return checks


def _examine(context: Context) -> list[Check]:
    settings = context.settings
    return Doctor(
        mongo=context.mongo,
        data_dir=settings.data.data_dir,
        landing=context.landing,
        dead_letters=context.dead_letters,
        warehouse=context.warehouse,
        addresses=[
            Address("METRICS_PORT", settings.metrics.host, settings.metrics.port),
            Address("BACKFILL_METRICS_PORT", settings.metrics.host, settings.backfill.metrics_port),
        ],
    ).examine()


def _print_checks(checks: list[Check], context: Context) -> None:
    for check in checks:
        text = f"{check.name}: {check.text}".replace("[", r"\[")
        context.console.print(f"[{_COLOURS[check.level]}]{check.level:4}[/]  {text}", soft_wrap=True)
        if check.fix and check.level != "ok":
            context.console.print(f"        → {check.fix}", soft_wrap=True, markup=False)
    counts = {level: sum(1 for check in checks if check.level == level) for level in _COLOURS}
    context.console.print(f"\n{counts['ok']} ok, {counts['warn']} to look at, {counts['fail']} failed")
