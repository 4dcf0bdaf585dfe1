"""Runs the checkpoint: Great Expectations on the suites' project, inside DuckDB, on whole tables."""

import contextlib
import io
import shutil
import warnings
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from batch.validate.engine import GateDialect, register
from batch.validate.project import (
    CHECKPOINT,
    DATA_DOCS_FOLDER,
    RESULTS_FOLDER,
    VARIABLES_FILE,
    project_files,
    variables_file,
    warehouse_url,
)
from batch.validate.rules import Rule, Suite
from batch.validate.suites import SUITES
from stream.stop import interruptible

_KEPT_RUNS = 50


@dataclass(frozen=True)
class Outcome:
    """What became of one rule.

    Attributes:
        suite: The rule's suite.
        rule: The rule.
        holds: Whether it holds.
        rows: Rows that break it; None if it counts none.
        observed: What was found, for rules that look at one number.
        problem: Why it could not be checked; None if it was.
    """

    suite: Suite
    rule: Rule
    holds: bool
    rows: int | None = None
    observed: object = None
    problem: str | None = None


@dataclass(frozen=True)
class Gate:
    """Great Expectations on one warehouse.

    Attributes:
        folder: Where its project, results and Data Docs lie.
        warehouse: The DuckDB file; the caller holds its lease.
        threads: Of DuckDB.
        memory_limit: Of DuckDB.
    """

    folder: Path
    warehouse: Path
    threads: int | None
    memory_limit: str

    @property
    def data_docs(self) -> Path:
        """The start page of the Data Docs."""
        return self.folder / DATA_DOCS_FOLDER / "index.html"

    def run(
        self, run_id: str, layers: Collection[str], parameters: Mapping[str, Any], *, build_docs: bool
    ) -> list[Outcome]:
        """Check the suites of some layers, and keep the results.

        Args:
            run_id: Name of the run in the results.
            layers: `bronze`, `silver`, `gold`.
            parameters: Of the rules.
            build_docs: Whether to write the Data Docs, too.
        """
        url = warehouse_url(
            str(self.warehouse.resolve()), threads=self.threads, memory_limit=self.memory_limit
        )
        prepare(self.folder, url)
        register()
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            # It warns of its own and its libraries' habits, and prints advice.
            warnings.simplefilter("ignore")
            import great_expectations as gx  # noqa: PLC0415 - takes seconds

            from batch.validate import expectations  # noqa: F401, PLC0415 - takes the place of one of its own

            context = gx.get_context(mode="file", context_root_dir=self.folder)
            whole = context.checkpoints.get(CHECKPOINT)
            wanted = [each for each in whole.validation_definitions if each.name in layers]
            checkpoint = context.checkpoints.add_or_update(
                gx.Checkpoint(
                    name=f"{CHECKPOINT}_{run_id}",
                    validation_definitions=wanted,
                    actions=whole.actions if build_docs else [],
                    result_format=whole.result_format,
                )
            )
            try:
                with interruptible(GateDialect.interrupt_all):
                    result = checkpoint.run(
                        expectation_parameters=dict(parameters), run_id=gx.RunIdentifier(run_name=run_id)
                    )
            finally:
                context.checkpoints.delete(checkpoint.name)
                GateDialect.close_all()
        remove_old_results(self.folder)
        told = [each.to_json_dict() for each in result.run_results.values()]  # type: ignore[no-untyped-call]
        found = {each["suite_name"]: each["results"] for each in told}
        return [
            _outcome(suite, {rule.name: rule for rule in suite.rules}, each)
            for suite in SUITES
            for each in found.get(suite.name, ())
        ]


def prepare(folder: Path, url: str) -> None:
    """Write the project; what is there of earlier runs stays.

    Args:
        folder: Of it.
        url: Of the warehouse.
    """
    for name, content in {**project_files(), VARIABLES_FILE: variables_file(url)}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")


def remove_old_results(folder: Path) -> None:
    """Keep the results, and their pages, of the last runs."""
    for root in (folder / RESULTS_FOLDER, folder / DATA_DOCS_FOLDER / "validations"):
        for suite in root.glob("*_expectations"):
            runs = sorted(suite.iterdir(), key=lambda run: run.stat().st_mtime)
            for run in runs[:-_KEPT_RUNS]:
                shutil.rmtree(run)


def _outcome(suite: Suite, rules: Mapping[str, Rule], result: Mapping[str, Any]) -> Outcome:
    rule = rules[result["expectation_config"]["meta"]["rule"]]
    found = result.get("result") or {}
    problem = None
    if not result["success"]:
        problem = _problem(result.get("exception_info") or {})
    return Outcome(
        suite=suite,
        rule=rule,
        holds=bool(result["success"]),
        rows=found.get("unexpected_count", found.get("observed_value") if rule.query else None),
        observed=found.get("observed_value"),
        problem=problem,
    )


def _problem(info: Mapping[str, Any]) -> str | None:
    """Find the first line of what went wrong: told for the expectation, or for each of its metrics."""
    told = [info, *(each for each in info.values() if isinstance(each, Mapping))]
    messages = [str(each["exception_message"]) for each in told if each.get("exception_message")]
    return messages[0].splitlines()[0] if messages else None
