"""What each step of the cycle does: the same for a pipeline run, for a single command, and for Prefect."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from batch.pipeline.news import (
    CHECKED_ALL,
    is_up_to_date,
    may_leave_out,
    whole_check,
    without_idle_runs,
)
from batch.pipeline.runner import Options, StepResult, Work
from batch.pipeline.side import CycleSide, OnProgress, no_progress
from batch.publish.publish import Publisher
from batch.runs.journal import (
    EXTRACT,
    LOAD,
    MAINTAIN,
    PUBLISH,
    TRANSFORM,
    VALIDATE,
    Journal,
    StepRun,
    documents_at_last_successes,
    last_of,
)
from batch.transform.transform import BuildResult
from batch.validate.validate import LAYERS, Validation, failure_of, least_documents
from stream.clock import Clock
from stream.errors import AnalyticsError

_COPIED_STEPS = 100


@dataclass(frozen=True)
class Cycle:
    """Everything that the steps need, made by the command line.

    Attributes:
        lands_by_itself: Whether stream workers land what changes, so that a run need not.
        side: The warehouse that is loaded and built in.
        read_changes: Lands what has changed in the collection since the last time; gives the events read.
        read_collection: Lands the whole collection; gives the documents read.
        build: Runs dbt with selectors, wholly or not, and with the checks of views or not.
        inputs: Returns what the marts depend on beside `raw`, as a checksum: project, rules, settings.
        clock: Says how old a build is.
        volume_ratio: See `least_documents`.
        lease_timeout_seconds: How long to wait for the warehouse.
        on_progress: Shown while loading.
    """

    run_id: str
    lands_by_itself: Callable[[], bool]
    side: CycleSide
    journal: Journal
    publisher: Publisher
    read_changes: Callable[[], int]
    read_collection: Callable[[], int]
    build: Callable[[Sequence[str], bool, bool], BuildResult]
    inputs: Callable[[], str]
    clock: Clock
    volume_ratio: float
    lease_timeout_seconds: float
    on_progress: OnProgress = field(default=no_progress)

    def works(self, options: Options) -> dict[str, Work]:
        """Return what each step does in a run with these options."""
        return {
            EXTRACT: lambda: self.extract(full_backfill=options.full_backfill),
            LOAD: self.load,
            TRANSFORM: lambda: self.transform(
                options.select, full_refresh=options.full_refresh, checks_all=not may_leave_out(options)
            ),
            VALIDATE: self.validate,
            PUBLISH: self.publish,
            MAINTAIN: self.maintain,
        }

    def extract(self, *, full_backfill: bool = False) -> StepResult:
        """Land what has changed; a stream worker that runs does that all the time."""
        documents = self.read_collection() if full_backfill else 0
        read = [f"{documents:,} documents read"] if full_backfill else []
        if self.lands_by_itself():
            return StepResult(
                ", ".join([*read, "a stream worker lands"]), documents if full_backfill else None
            )
        events = self.read_changes()
        return StepResult(", ".join([*read, f"{events:,} changes landed"]), documents + events)

    def load(self) -> StepResult:
        """Load what has landed and is not loaded yet."""
        rows = self.side.load(self.on_progress)
        return StepResult(f"{rows:,} rows loaded", rows)

    def transform(
        self, select: Sequence[str] = (), *, full_refresh: bool = False, checks_all: bool = True
    ) -> StepResult:
        """Build the marts; `checks_all` or not, every check is asked once an hour."""
        checked_at = None if checks_all else whole_check(self.journal.steps(), self.clock())
        built = self.build(select, full_refresh, checked_at is None)
        checks = sum(node.kind == "test" for node in built.nodes)
        summary = f"{len(built.models):,} models built, {checks:,} checks passed"
        if built.waiting and checked_at:
            summary += f", {len(built.waiting):,} of views wait since {checked_at:%H:%M:%S} UTC"
        return StepResult(
            summary,
            None,
            {
                "model_seconds": {model.name: round(model.seconds, 3) for model in built.models},
                "warnings": [f"{node.name}: {node.message}" for node in built.warnings],
                CHECKED_ALL: not select and not built.waiting,
                "waiting_checks": list(built.waiting),
            },
        )

    def validate(self) -> StepResult:
        """Check everything; a critical rule that does not hold keeps the build from being published."""
        return judged(self.look())

    def look(self, layers: Sequence[str] = LAYERS, *, build_docs: bool = False) -> Validation:
        """Check some layers, and only tell."""
        history = documents_at_last_successes(self.journal.steps())
        return self.side.check(
            layers,
            run_id=self.run_id,
            least_documents=least_documents(history, ratio=self.volume_ratio),
            build_docs=build_docs,
        )

    def publish(self) -> StepResult:
        """Make the marts visible as a new build, named like the run."""
        published = self.publisher.publish(self.run_id, timeout_seconds=self.lease_timeout_seconds)
        manifest = published.manifest
        return StepResult(
            f"{len(manifest.tables):,} tables published",
            manifest.rows,
            {
                "build_id": manifest.build_id,
                "size_bytes": manifest.size_bytes,
                "load_id": manifest.source.load_id,
                "inputs": self.inputs(),
            },
        )

    def up_to_date_build(self, options: Options) -> str | None:
        """Return the build that readers see if this run has nothing to add to it."""
        if not may_leave_out(options):
            return None
        steps, build_id = self.journal.steps(), self.publisher.serving.current_build()
        if not is_up_to_date(steps, build_id=build_id, inputs=self.inputs(), now=self.clock()):
            return None
        published = last_of(steps, PUBLISH)
        try:
            load_id = self.side.newest_load()
        except AnalyticsError:
            return None  # the next step says so
        return build_id if published and published.details.get("load_id") == load_id else None

    def maintain(self) -> StepResult:
        """Clear away what is old or half-written, and merge what has landed in many small files."""
        serving = self.publisher.serving
        removed = serving.remove_unfinished() + len(serving.remove_old(keep=self.publisher.keep))
        self.journal.trim()
        done = [f"{removed:,} old builds removed", *self.side.maintain()]
        return StepResult(", ".join(done), None)

    def copy_journal(self) -> None:
        """Bring schema `ops` up to date; runs that found nothing new stay in the journal alone."""
        steps = without_idle_runs(self.journal.steps())
        if any(step.run_id == self.run_id for step in steps):
            self.side.note_runs(steps[-_COPIED_STEPS:])


def judged(validation: Validation) -> StepResult:
    """Return the result of a validation; it has failed if a critical rule does not hold."""
    held = validation.checked - len(validation.findings)
    return StepResult(
        f"{held:,} of {validation.checked:,} checks hold",
        validation.documents,
        {
            "failed_by_layer": validation.failed_by_layer(),
            "findings": [
                {
                    "rule": f"{finding.layer}.{finding.rule}",
                    "severity": finding.severity,
                    "description": finding.description,
                    "found": finding.found,
                    "example": finding.examples[0] if finding.examples else finding.found,
                }
                for finding in validation.findings
            ],
            "layers": list(validation.layers),
        },
        failure_of(validation),
    )


def may_publish(steps: Sequence[StepRun]) -> str | None:
    """Say why the marts must not be published as they are; None if they may.

    They may if a validation of all layers succeeded after the last build began.
    """
    newest = {step.step: step for step in steps if step.outcome != "skipped"}
    checked = newest.get(VALIDATE)
    built = newest.get(TRANSFORM)
    if checked is None:
        return "nothing has been validated yet"
    if checked.outcome != "succeeded":
        return f"the last validation {checked.outcome}: {checked.error}"
    if tuple(checked.details.get("layers", ())) != LAYERS:
        return "the last validation was of some layers only"
    if built is not None and built.started_at > checked.started_at:
        return "the marts were built after the last validation"
    return None
