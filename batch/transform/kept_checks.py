"""The checks as SQL: compiled for a build of everything, which keeps them for the builds after it.

dbt spends tens of milliseconds on each view and check that it walks through, ten where it only compiles a
check, DuckDB one on the query. Both depend on the project alone: while it is the same, views are as they were
made, and checks can be asked as they were compiled. They lie in the warehouse itself, so that another file is
never taken for this one.
"""

from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass
from typing import Any

import duckdb

from stream import sql

_TABLE = "ops.kept_checks"
_AT_A_TIME = 30
"""Checks in one query: most take longer to plan than to answer, and together they use all threads."""


@dataclass(frozen=True)
class Check:
    """One check of the project, compiled.

    Attributes:
        name: As dbt calls it.
        query: Returns the rows that break the rule.
        failures: Expression over these rows: how many there are.
        warn_if: Comparison with that number, as `!= 0`.
        error_if: The same, for an error.
        is_error: Whether it can fail; else it only warns.
        compiled_path: Where dbt wrote the query, for messages.
        reads_views: Whether it computes a view over the whole history, and so takes long.
    """

    name: str
    query: str
    failures: str
    warn_if: str
    error_if: str
    is_error: bool
    compiled_path: str
    reads_views: bool


@dataclass(frozen=True)
class CheckResult:
    """What became of a check.

    Attributes:
        check: Which one.
        status: `pass`, `warn` or `fail`, as dbt says it.
        message: As dbt words it; empty if it passed.
    """

    check: Check
    status: str
    message: str


def upstream_first(tests: Iterable[Any], built: Iterable[Any]) -> list[Any]:
    """Return the results of tests in the order in which dbt would ask them: as their models were built.

    The first that fails is the one that is named: rather the cause than what follows from it.

    Args:
        tests: Results of compiled tests.
        built: Results of what they check, in their order; sources come before all.
    """
    order = {result.node.unique_id: number for number, result in enumerate(built)}
    return sorted(
        tests, key=lambda test: max((order.get(each, -1) for each in test.node.depends_on_nodes), default=-1)
    )


def checks_of(results: Iterable[Any], built: Iterable[Any]) -> list[Check]:
    """Return the checks among the results of a dbt build, or of their compilation.

    Args:
        results: Those of tests are taken.
        built: Results of what they check.
    """
    views = {result.node.unique_id for result in built if result.node.config.materialized == "view"}
    return [
        Check(
            name=result.node.name,
            query=result.node.compiled_code,
            failures=result.node.config.fail_calc,
            warn_if=result.node.config.warn_if,
            error_if=result.node.config.error_if,
            is_error=result.node.config.severity.upper() == "ERROR",
            compiled_path=str(result.node.compiled_path or ""),
            reads_views=not views.isdisjoint(result.node.depends_on_nodes),
        )
        for result in results
        if result.node.resource_type.value == "test"
    ]


def keep(connection: duckdb.DuckDBPyConnection, project_checksum: str, checks: Iterable[Check]) -> None:
    """Keep the checks of a build of everything that has succeeded; those before go."""
    rows = sql.rows((project_checksum, *astuple(check)) for check in checks)
    forget(connection)
    connection.execute(
        f"""
        create table {_TABLE} (
            project_checksum varchar, name varchar, query varchar, failures varchar, warn_if varchar,
            error_if varchar, is_error boolean, compiled_path varchar, reads_views boolean
        );
        insert into {_TABLE} values {rows}
        """
    )


def forget(connection: duckdb.DuckDBPyConnection) -> None:
    """Let the next build be one of everything."""
    connection.execute(f"drop table if exists {_TABLE}")


def kept(connection: duckdb.DuckDBPyConnection, project_checksum: str) -> list[Check]:
    """Return the checks that were kept for this very project; none if there are none."""
    try:
        found = connection.execute(
            f"select * exclude (project_checksum) from {_TABLE} "
            f"where project_checksum = {sql.literal(project_checksum)}"
        ).fetchall()
    except duckdb.CatalogException:
        return []
    return [Check(*row) for row in found]


def ask(connection: duckdb.DuckDBPyConnection, checks: Sequence[Check]) -> list[CheckResult]:
    """Run checks, as dbt would judge them.

    Raises:
        duckdb.Error: A query cannot be run; something else than the data has changed.
    """
    results = []
    for first in range(0, len(checks), _AT_A_TIME):
        asked = checks[first : first + _AT_A_TIME]
        query = " union all ".join(_numbered(number, check) for number, check in enumerate(asked))
        answers = sorted(connection.execute(query).fetchall())
        results += [_judged(check, *answer) for check, (_, *answer) in zip(asked, answers, strict=True)]
    return results


def _numbered(number: int, check: Check) -> str:
    """Return a query of one row: the check's number, how many rows break it, whether to warn and to fail."""
    failures = check.failures
    return (
        f"select {number}, * from (select {failures}, {failures} {check.warn_if}, "
        f"{failures} {check.error_if} from ({check.query}) as broken_rows)"
    )


def _judged(check: Check, failures: int, should_warn: bool, should_error: bool) -> CheckResult:  # noqa: FBT001
    if check.is_error and should_error:
        status, condition = "fail", f"fail if {check.error_if}"
    elif should_warn:
        status, condition = "warn", f"warn if {check.warn_if}"
    else:
        return CheckResult(check, "pass", "")
    return CheckResult(
        check, status, f"Got {failures} {'result' if failures == 1 else 'results'}, configured to {condition}"
    )
