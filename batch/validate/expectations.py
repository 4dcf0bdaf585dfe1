"""Great Expectations' rule on the rows of a query, asked once: importing this puts it in place of its own.

Its own asks each query twice: for the number of rows, and for two hundred of them, which only results of the
format `COMPLETE` hold. Ours are a `SUMMARY`, and examples are asked for later, of rules that do not hold.
"""

import logging
from typing import Any, ClassVar

from great_expectations.core import ExpectationValidationResult
from great_expectations.execution_engine.execution_engine import ExecutionEngine
from great_expectations.expectations.core.unexpected_rows_expectation import (
    UnexpectedRowsExpectation as AskedTwice,
)

# The next statement registers the class under the type that projects name, and is warned of that.
logging.getLogger("great_expectations.expectations.registry").setLevel(logging.ERROR)


class UnexpectedRowsExpectation(AskedTwice):
    """Holds if a query gives no rows; says how many it gives."""

    metric_dependencies: ClassVar[tuple[str, ...]] = ("unexpected_rows_query.row_count",)

    def _validate(
        self,
        metrics: dict[str, Any],
        runtime_configuration: dict[str, Any] | None = None,
        execution_engine: ExecutionEngine[Any] | None = None,
    ) -> ExpectationValidationResult | dict[str, Any]:
        # Looked up for every format, and put into results of `COMPLETE` alone.
        rows: list[dict[str, Any]] = []
        metrics = metrics | {"unexpected_rows_query.table": rows}
        return super()._validate(metrics, runtime_configuration, execution_engine)
