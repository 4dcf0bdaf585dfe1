"""Runs, findings and builds as tables for people."""

from rich.console import Console
from rich.table import Table

from batch.cli.printing.tables import duration_text, facts, size_text
from batch.pipeline.runner import RunSummary
from batch.publish.publish import Published
from batch.validate.validate import Finding, Validation

_COLOURS = {"succeeded": "green", "failed": "bold red", "skipped": "dim"}


def print_run(summary: RunSummary, console: Console) -> None:
    """Show what each step did."""
    table = Table(title=f"Run {summary.run_id}", title_justify="left", title_style="bold", box=None)
    table.add_column("step", no_wrap=True)
    table.add_column("outcome", no_wrap=True)
    table.add_column("time", justify="right", no_wrap=True)
    table.add_column("what it did", overflow="fold")
    for step in summary.steps:
        result = summary.results.get(step.step)
        tried = f" ({step.attempts} tries)" if step.attempts > 1 else ""
        table.add_row(
            step.step,
            f"[{_COLOURS.get(step.outcome, 'yellow')}]{step.outcome}[/]",
            "" if step.outcome == "skipped" else duration_text(step.seconds or 0.0),
            (result.summary if result else "") + tried,
        )
    console.print(table)


def print_validation(validation: Validation, console: Console) -> None:
    """Show what does not hold, with examples and what to do."""
    held = validation.checked - len(validation.findings)
    layers = ", ".join(validation.layers)
    console.print(f"{held:,} of {validation.checked:,} checks hold ({layers}) in {validation.seconds:.1f} s")
    for finding in validation.findings:
        _print_finding(finding, console)
    if validation.data_docs is not None:
        console.print(f"Data Docs: {validation.data_docs}", soft_wrap=True)


def _print_finding(finding: Finding, console: Console) -> None:
    colour = "bold red" if finding.severity == "critical" else "yellow"
    console.print(f"[{colour}]{finding.severity}:[/] {finding.layer}.{finding.rule}: {finding.found}")
    console.print(f"  {finding.description}", style="dim", markup=False)
    for example in finding.examples:
        console.print(f"  {example}", markup=False, soft_wrap=True)
    console.print(f"  what to do: {finding.fix}", markup=False)


def print_published(published: Published, path: str, console: Console) -> None:
    """Show which build readers see now, and where."""
    manifest = published.manifest
    table = facts(f"Published build {manifest.build_id}")
    table.add_row(
        "tables", f"{len(manifest.tables):,} with {manifest.rows:,} rows, {size_text(manifest.size_bytes)}"
    )
    if manifest.source.instant is not None:
        table.add_row("reaches to", f"{manifest.source.instant:%Y-%m-%d %H:%M:%S} UTC")
    table.add_row("before it", published.previous or "nothing")
    table.add_row("open", path)
    console.print(table)
