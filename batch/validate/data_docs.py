"""Writes the Data Docs of Great Expectations for checks that another engine has made."""

import contextlib
import io
import warnings
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from batch.validate.checkpoint import Outcome, prepare, remove_old_results
from batch.validate.project import DATA_DOCS_FOLDER


def write_data_docs(
    folder: Path,
    outcomes: Sequence[Outcome],
    *,
    run_id: str,
    checked_at: datetime,
    parameters: Mapping[str, Any],
    warehouse: str,
) -> Path:
    """Keep the results of a run, and write the site of all that are kept.

    Args:
        folder: Where project, results and Data Docs lie.
        outcomes: What became of each rule, in the order of suites.
        run_id: Name of the run in the results.
        checked_at: When.
        parameters: Of the rules.
        warehouse: What was checked, in words; nothing connects to it.

    Returns:
        The start page.
    """
    prepare(folder, warehouse)
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        # It warns of its own and its libraries' habits, and prints advice.
        warnings.simplefilter("ignore")
        import great_expectations as gx  # noqa: PLC0415 - takes seconds
        from great_expectations.core import ExpectationSuiteValidationResult  # noqa: PLC0415 - the same
        from great_expectations.data_context.types.resource_identifiers import (  # noqa: PLC0415 - the same
            ExpectationSuiteIdentifier,
            ValidationResultIdentifier,
        )

        from batch.validate import expectations  # noqa: F401, PLC0415 - takes the place of one of its own

        context = gx.get_context(mode="file", context_root_dir=folder)
        run = gx.RunIdentifier(run_name=run_id, run_time=checked_at)
        for suite in dict.fromkeys(each.suite.name for each in outcomes):
            found = [each for each in outcomes if each.suite.name == suite]
            name = ExpectationSuiteIdentifier(suite)
            table = f"{found[0].suite.schema}.{found[0].suite.table}"
            context.validation_results_store.store_validation_results(
                ExpectationSuiteValidationResult(
                    success=all(each.holds for each in found),
                    results=[_result(each) for each in found],
                    suite_name=suite,
                    suite_parameters=dict(parameters),
                    statistics=_statistics(found),
                    meta={
                        "great_expectations_version": gx.__version__,
                        "batch_spec": {"table": table},
                        "run_id": run,
                        "validation_time": checked_at.isoformat(),
                    },
                ),
                ValidationResultIdentifier(name, run, table),
                name,
            )
        remove_old_results(folder)
        context.build_data_docs()
    return folder / DATA_DOCS_FOLDER / "index.html"


def _result(outcome: Outcome) -> Any:  # noqa: ANN401 - Great Expectations is not imported here
    from great_expectations.core import ExpectationValidationResult  # noqa: PLC0415 - takes seconds
    from great_expectations.expectations.expectation_configuration import (  # noqa: PLC0415 - the same
        ExpectationConfiguration,
    )
    from great_expectations.expectations.metadata_types import FailureSeverity  # noqa: PLC0415 - the same

    rule = outcome.rule
    return ExpectationValidationResult(
        success=outcome.holds,
        expectation_config=ExpectationConfiguration(
            type=rule.type,
            kwargs=dict(rule.arguments),
            meta={"rule": rule.name},
            notes=rule.fix,
            description=rule.description,
            severity=FailureSeverity(rule.severity),
        ),
        result={"observed_value": outcome.observed if outcome.rows is None else outcome.rows},
        exception_info={
            "raised_exception": outcome.problem is not None,
            "exception_message": outcome.problem or "",
            "exception_traceback": outcome.problem or "",  # it is shown, and must be a text
        },
    )


def _statistics(found: Sequence[Outcome]) -> dict[str, Any]:
    holds = sum(each.holds for each in found)
    return {
        "evaluated_expectations": len(found),
        "successful_expectations": holds,
        "unsuccessful_expectations": len(found) - holds,
        "success_percent": 100 * holds / len(found),
    }
