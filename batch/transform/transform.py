"""Builds the star schema: `dbt build`, in this process, under the warehouse lock."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from batch.transform import kept_checks
from batch.transform.dbt_project import DbtProject
from stream.errors import ChecksFailedError, StepFailedError
from stream.warehouse.database import Config, WarehouseFile, interruptible_queries

_BROKEN = ("error", "runtime error", "partial success")
_SUCCEEDED = ("success", "pass", "warn", "no-op")
_NO_UNIT_TESTS = ("--exclude-resource-type", "unit_test")
_NO_CHECKS = (*_NO_UNIT_TESTS, "--exclude-resource-type", "test")
# Nothing of the compilation asks the warehouse, and what the build said of itself stays.
_ONLY_COMPILED = ("--select", "resource_type:test", "--no-populate-cache", "--no-write-json")
_TABLES = ("config.materialized:table", "config.materialized:incremental")


@dataclass(frozen=True)
class BuiltNode:
    """What became of one node of the build.

    Attributes:
        name: Of the model, seed or test.
        kind: `model`, `seed`, `test`, `operation`, …
        status: `success`, `pass`, `warn`, `fail`, `error` or `skipped`.
        seconds: Time it took.
        message: dbt's own words, empty if it has none.
        compiled_path: The SQL that was run; None if there is none.
    """

    name: str
    kind: str
    status: str
    seconds: float
    message: str = ""
    compiled_path: Path | None = None


@dataclass(frozen=True)
class BuildProgress:
    """One step of a running build.

    Attributes:
        node: The node that is done.
        done: Nodes done.
        total: Nodes in all.
    """

    node: BuiltNode
    done: int
    total: int


@dataclass(frozen=True)
class BuildResult:
    """A build that succeeded.

    Attributes:
        nodes: Every node, in the order in which they were done.
        seconds: Time they took.
        waiting: Names of the checks that were not asked this time.
    """

    nodes: tuple[BuiltNode, ...]
    seconds: float
    waiting: tuple[str, ...] = ()

    @property
    def models(self) -> tuple[BuiltNode, ...]:
        """The models; for `batch_model_seconds{model}`."""
        return tuple(node for node in self.nodes if node.kind == "model")

    @property
    def warnings(self) -> tuple[BuiltNode, ...]:
        """The checks that found something that is no reason to stop."""
        return tuple(node for node in self.nodes if node.status == "warn")


def transform(
    project: DbtProject,
    *,
    lease: AbstractContextManager[object],
    models: Sequence[str] = (),
    full_refresh: bool = False,
    checks_views: bool = True,
    on_progress: Callable[[BuildProgress], None] = lambda _progress: None,
) -> BuildResult:
    """Build the models and run their checks.

    Checks are asked as SQL once everything is built. If the last build of everything was of this very
    project, only tables are built: views and seeds are as they were. Incremental models rebuild the
    conversations that changed since they were built last, which gives the same rows as a full refresh. Unit
    tests of the project are not part of it: they check code, not data.

    Args:
        project: The project and its warehouse.
        lease: Entered around the build; the right to open the DuckDB file.
        models: dbt selectors (`fct_messages`, `staging.*`, `+dim_sessions`); everything if empty.
        full_refresh: Build every row anew.
        checks_views: Whether the checks of views are asked as well where only tables are built: each computes
            its view over the whole history, however little has changed.
        on_progress: Called after each node.

    Raises:
        StepFailedError: A node could not be built; the message names it, its cause and its compiled SQL.
        ChecksFailedError: A check found wrong data. What depends on it is built, but not to be published.
        WarehouseBusyError: From the warehouse lock.
    """
    if not project.warehouse.exists():
        raise StepFailedError(
            f"there is no warehouse at `{project.warehouse}`", hint="run `claude-analytics load` first"
        )
    build = _Build(project, on_progress)
    with lease:
        if models:
            return build.selected(models, full_refresh=full_refresh)
        tables = None if full_refresh else build.tables(checks_views=checks_views)
        return tables or build.everything(full_refresh=full_refresh)


def transform_elsewhere(
    project: DbtProject,
    *,
    models: Sequence[str] = (),
    full_refresh: bool = False,
    on_progress: Callable[[BuildProgress], None] = lambda _progress: None,
) -> BuildResult:
    """Build as `transform` does, through an adapter that needs no file of ours. Raises as it does."""
    selection = ("--select", *models, "--indirect-selection", "cautious") if models else ()
    arguments = project.arguments("build", *_NO_UNIT_TESTS, *selection)
    refresh = ["--full-refresh"] if full_refresh else []
    outcome = project.invoke(arguments + refresh, on_event=_Observer(on_progress))
    nodes = _nodes(outcome)
    raise_failures(nodes)
    return BuildResult(nodes, outcome.elapsed_time)


class _Build:
    """One build; the caller has the right to open the DuckDB file.

    Args:
        project: The project and its warehouse.
        on_progress: Called after each node of dbt.
    """

    def __init__(self, project: DbtProject, on_progress: Callable[[BuildProgress], None]) -> None:
        self._project = project
        self._on_progress = on_progress
        self._checksum = project.checksum()
        config: Config = {"memory_limit": project.memory_limit}
        if project.threads:
            config["threads"] = project.threads
        self._file = WarehouseFile(project.warehouse, config)

    def everything(self, *, full_refresh: bool) -> BuildResult:
        """Build everything, then check it, and keep the checks for the next builds."""
        started = time.monotonic()
        with self._opened() as connection:
            kept_checks.forget(connection)
        built = self._invoke("build", *_NO_CHECKS, full_refresh=full_refresh)
        nodes = _nodes(built)
        if any(node.status in _BROKEN for node in nodes):
            return self._one_by_one(full_refresh=full_refresh)
        compiled = self._project.invoke(self._project.arguments("compile", *_ONLY_COMPILED))
        in_order = kept_checks.upstream_first(compiled.results, built.results)
        checks = kept_checks.checks_of(in_order, built.results)
        checked = self._asked(checks)
        if checked is None:
            return self._one_by_one(full_refresh=full_refresh)
        nodes += checked
        raise_failures(nodes)
        self._keep(checks)
        return BuildResult(nodes, time.monotonic() - started)

    def tables(self, *, checks_views: bool) -> BuildResult | None:
        """Build the tables only, and ask the checks of the last build of everything, or those of tables.

        None if there was none of this very project, or if it has left something that no longer fits.
        """
        started = time.monotonic()
        with self._opened() as connection:
            checks = kept_checks.kept(connection, self._checksum)
        if not checks:
            return None
        built = self._invoke("run", "--select", *_TABLES, "--no-write-json")
        built.write(str(self._project.target_dir / "run_results.json"))
        nodes = _nodes(built)
        if any(node.status in _BROKEN for node in nodes):
            return None
        waiting = [] if checks_views else [check for check in checks if check.reads_views]
        checked = self._asked([check for check in checks if check not in waiting])
        if checked is None:
            return None
        nodes += checked
        raise_failures(nodes)
        return BuildResult(nodes, time.monotonic() - started, tuple(check.name for check in waiting))

    def selected(self, models: Sequence[str], *, full_refresh: bool) -> BuildResult:
        """Build what dbt's selectors name, with the checks whose models are all built."""
        with self._opened() as connection:
            if not kept_checks.kept(connection, self._checksum):
                # The selection may bring views of this project among those of the other that they are for.
                kept_checks.forget(connection)
        # Of the checks that span several models only those whose models are all built: the others are stale.
        selection = ("--select", *models, "--indirect-selection", "cautious")
        outcome = self._invoke("build", *_NO_UNIT_TESTS, *selection, full_refresh=full_refresh)
        nodes = _nodes(outcome)
        if not nodes:
            raise StepFailedError(
                f"nothing to build: no model matches `{' '.join(models)}`",
                hint="`claude-analytics docs` lists the models; `+name` adds what a model is built from",
            )
        raise_failures(nodes)
        return BuildResult(nodes, outcome.elapsed_time)

    def _one_by_one(self, *, full_refresh: bool) -> BuildResult:
        """Let dbt check each model before it builds what depends on it, and say what is wrong where."""
        outcome = self._invoke("build", *_NO_UNIT_TESTS, full_refresh=full_refresh)
        nodes = _nodes(outcome)
        raise_failures(nodes)
        self._keep(kept_checks.checks_of(outcome.results, outcome.results))
        return BuildResult(nodes, outcome.elapsed_time)

    def _asked(self, checks: Sequence[kept_checks.Check]) -> tuple[BuiltNode, ...] | None:
        """Ask the checks; None if one cannot be asked."""
        try:
            with self._opened() as connection:
                checked = kept_checks.ask(connection, checks)
        except duckdb.InterruptException as error:
            raise self._file.explained(error) from error
        except duckdb.Error:
            return None
        return tuple(_checked_node(result) for result in checked)

    def _keep(self, checks: Sequence[kept_checks.Check]) -> None:
        with self._opened() as connection:
            kept_checks.keep(connection, self._checksum, checks)

    def _invoke(self, *command: str, full_refresh: bool = False) -> Any:  # noqa: ANN401 - dbt is untyped
        arguments = self._project.arguments(*command) + (["--full-refresh"] if full_refresh else [])
        return self._project.invoke(arguments, on_event=_Observer(self._on_progress))

    @contextmanager
    def _opened(self) -> Iterator[duckdb.DuckDBPyConnection]:
        connection = self._file.connect()
        try:
            with interruptible_queries(connection):
                yield connection
        finally:
            connection.close()


def raise_failures(nodes: Iterable[BuiltNode]) -> None:
    """Raise the error that a build's outcome asks for, if any; a broken node goes before a failed check.

    Raises:
        StepFailedError: A node broke.
        ChecksFailedError: A check failed.
    """
    nodes = tuple(nodes)
    broken = [node for node in nodes if node.status in _BROKEN]
    failed = [node for node in nodes if node.status == "fail"]
    skipped = sum(node.status == "skipped" for node in nodes)
    if broken:
        first = broken[0]
        raise StepFailedError(
            f"{first.kind} `{first.name}` failed: {_cause(first.message)}{_others(len(broken) - 1, skipped)}",
            hint=_where(first),
        )
    if failed:
        first = failed[0]
        raise ChecksFailedError(
            f"check `{first.name}` failed: {_cause(first.message)}{_others(len(failed) - 1, skipped)}",
            hint=f"{_where(first)}; that query gives the rows that break the rule",
        )


def _cause(message: str) -> str:
    """The sentence that says why: dbt puts a line naming the node before it."""
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    if len(lines) > 1 and " Error in " in lines[0]:
        lines = lines[1:]
    return lines[0].rstrip(".") if lines else "no reason given"


def _others(also: int, skipped: int) -> str:
    parts = [f"{also} more failed"] if also else []
    parts += [f"{skipped} skipped"] if skipped else []
    return f" ({', '.join(parts)})" if parts else ""


def _where(node: BuiltNode) -> str:
    return f"see the SQL that ran: `{node.compiled_path}`" if node.compiled_path else "see dbt's log"


def _nodes(outcome: Any) -> tuple[BuiltNode, ...]:  # noqa: ANN401 - dbt is untyped
    return tuple(_built_node(result) for result in outcome.results)


def _checked_node(result: kept_checks.CheckResult) -> BuiltNode:
    path = result.check.compiled_path
    return BuiltNode(
        result.check.name, "test", result.status, 0.0, result.message, Path(path) if path else None
    )


def _built_node(result: Any) -> BuiltNode:  # noqa: ANN401 - dbt is untyped
    node = result.node
    compiled = getattr(node, "compiled_path", None)
    return BuiltNode(
        name=node.name,
        kind=str(node.resource_type.value),
        status=str(result.status.value if hasattr(result.status, "value") else result.status),
        seconds=result.execution_time,
        message=result.message or "",
        compiled_path=Path(compiled) if compiled else None,
    )


class _Observer:
    """Turns dbt's events into progress."""

    def __init__(self, on_progress: Callable[[BuildProgress], None]) -> None:
        self._on_progress = on_progress
        self._done = 0
        self._total = 0

    def __call__(self, event: Any) -> None:  # noqa: ANN401 - dbt's messages are made at run time
        if event.info.name == "LogStartLine":
            self._total = max(self._total, event.data.total)
        elif event.info.name == "NodeFinished":
            self._done += 1
            node = event.data.node_info
            result = event.data.run_result
            self._on_progress(
                BuildProgress(
                    BuiltNode(
                        name=node.node_name,
                        kind=node.resource_type,
                        status=result.status,
                        seconds=result.execution_time,
                        message=result.message,
                    ),
                    self._done,
                    max(self._total, self._done),
                )
            )
