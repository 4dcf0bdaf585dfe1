"""The dbt project as it runs here: where it lies, what it is told, and how dbt is called."""

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from batch import shipped
from batch.transform.prices import Terms
from stream.decode.memory import rare_garbage_collection
from stream.errors import StepFailedError
from stream.warehouse.database import catalog_name

if TYPE_CHECKING:
    from dbt.cli.main import dbtRunner
    from dbt.contracts.graph.manifest import Manifest

_SOURCES = {".sql", ".yml", ".md", ".csv"}
_BUILDS = {"build", "compile", "run"}
_PARSED: "dict[str, Manifest]" = {}
"""The last one: a process that runs again and again parses it once."""
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True)
class DbtProject:
    """The dbt project and what its profile reads from the environment.

    Attributes:
        warehouse: The DuckDB file.
        data_dir: Artifacts, logs and the parse cache go to `<data_dir>/dbt`.
        target: Of `profiles.yml`.
        threads: Of DuckDB; as many as DuckDB takes by itself if None, so as many as the loader has.
        memory_limit: Of DuckDB, as `1GB`.
        reporting_timezone: Days and hours in the marts are of this zone.
        project_aliases: Project for each folder whose own would be another.
        usage_week_start_hour: Hour of the week, from Monday 00:00 on, at which weekly limits begin.
        terms: Own prices, discounts and subscriptions.
        folder: The project itself; as installed, or of the checkout, if None.
    """

    warehouse: Path
    data_dir: Path
    target: str = "dev"
    threads: int | None = None
    memory_limit: str = "1GB"
    reporting_timezone: str = "UTC"
    project_aliases: Mapping[str, str] = field(default_factory=dict)
    usage_week_start_hour: int = 0
    terms: Terms = field(default_factory=Terms)
    folder: Path | None = None

    @property
    def project_dir(self) -> Path:
        """The folder with `dbt_project.yml`."""
        return self.folder or shipped.dbt_project()

    @property
    def target_dir(self) -> Path:
        """Where dbt writes artifacts and compiled SQL."""
        return self.data_dir.resolve() / "dbt" / "target"

    @property
    def log_dir(self) -> Path:
        """Where dbt writes its own log."""
        return self.data_dir.resolve() / "dbt" / "logs"

    def environment(self) -> dict[str, str]:
        """Return the environment variables that the profile and dbt itself read."""
        path, catalog = str(self.warehouse.resolve()), catalog_name(self.warehouse)
        variables = {
            "DUCKDB_PATH": path,
            "DUCKDB_CATALOG": catalog,
            "DUCKDB_THREADS": str(self.threads or _threads()),
            "DUCKDB_MEMORY_LIMIT": self.memory_limit,
            "REPORTING_TIMEZONE": self.reporting_timezone,
            "PROJECT_ALIASES": json.dumps(self.project_aliases, sort_keys=True),
            "USAGE_WEEK_START_HOUR": str(self.usage_week_start_hour),
            "DBT_TARGET_PATH": str(self.target_dir),
            "DBT_LOG_PATH": str(self.log_dir),
            "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        }
        if not _IDENTIFIER.fullmatch(catalog):
            # dbt-duckdb quotes no alias: such a file can only be opened, which works as well, but slower.
            variables |= {"DUCKDB_OPENED": path, "DUCKDB_ATTACHED": ":memory:", "DUCKDB_ALIAS": "nothing"}
        return variables

    def checksum(self) -> str:
        """Return what tells states of the project apart: its files, its target, dbt's version."""
        checksum = hashlib.sha256(
            f"{version('dbt-core')} {version('dbt-duckdb')} {self.target} {self.reporting_timezone} "
            f"{catalog_name(self.warehouse)}".encode()
        )
        for path in sorted(self.project_dir.rglob("*")):
            if path.suffix in _SOURCES and path.is_file():
                checksum.update(f"{path.relative_to(self.project_dir)}\0".encode() + path.read_bytes())
        return checksum.hexdigest()

    def arguments(self, *command: str) -> list[str]:
        """Return dbt's arguments for a command.

        The macros' checksum is among them: dbt knows which models changed, but not which macros, and a
        changed macro must rebuild what was made with the old one.
        """
        folder = str(self.project_dir)
        checksum = hashlib.sha256()
        for path in sorted((self.project_dir / "macros").rglob("*.sql")):
            checksum.update(path.read_bytes())
        return [
            *command,
            *("--project-dir", folder, "--profiles-dir", folder, "--target", self.target),
            *("--vars", json.dumps({"macros_checksum": checksum.hexdigest(), **self.terms.variables()})),
            *("--quiet", "--log-level", "none", "--log-level-file", "info", "--no-use-colors"),
        ]

    def invoke(
        self, arguments: Sequence[str], *, on_event: Callable[[Any], None] = lambda _event: None
    ) -> Any:  # noqa: ANN401 - dbt's result has no common type
        """Call dbt in this process and give its result; the DuckDB file is closed afterwards.

        Args:
            arguments: As made by `arguments`.
            on_event: Called with every event that dbt logs.

        Raises:
            StepFailedError: dbt could not even start: a broken project or profile, a locked file.
        """
        with _environment(self.environment()), rare_garbage_collection():
            parsed = self._parsed() if arguments[0] in _BUILDS else None
            return self._result(arguments, parsed, on_event)

    def _parsed(self) -> "Manifest":
        """Return the project as dbt has parsed it, for a command or for an earlier one of this process.

        What it is parsed to depends on its files, its variables and the environment. Raises as `invoke` does.
        """
        options = self.arguments()
        key = repr((self.checksum(), self.environment(), options))
        if key not in _PARSED:
            _PARSED.clear()
            _PARSED[key] = self._result(["parse", "--no-write-json", *options])
        manifest = _PARSED[key]
        # What models have kept in it for the length of a command is that command's.
        manifest.build_flat_graph()
        return manifest

    def _result(
        self,
        arguments: Sequence[str],
        parsed: "Manifest | None" = None,
        on_event: Callable[[Any], None] = lambda _event: None,
    ) -> Any:  # noqa: ANN401 - dbt's result has no common type
        try:
            answer = load_dbt()(parsed, [on_event]).invoke(list(arguments))
        finally:
            _close_connections()
            _close_logs()
        if isinstance(answer.exception, KeyboardInterrupt | SystemExit):
            raise answer.exception
        if answer.exception is not None:
            raise StepFailedError(
                f"dbt could not run: {_first_line(str(answer.exception))}",
                hint=f"see `{self.log_dir / 'dbt.log'}`",
            ) from answer.exception
        return answer.result


def load_dbt() -> "type[dbtRunner]":
    """Return what calls dbt: to import it takes a second and a half, which other commands need not wait."""
    from dbt.cli.main import dbtRunner  # noqa: PLC0415

    return dbtRunner


def _threads() -> int:
    """Return how many threads DuckDB takes by itself: in a container fewer than the machine has cores."""
    with duckdb.connect() as connection:
        (found,) = connection.execute("select current_setting('threads')").fetchall()
    threads: int = found[0]
    return threads


def _first_line(text: str) -> str:
    return next((line.strip() for line in text.splitlines() if line.strip()), "no reason given")


def _close_connections() -> None:
    """Close the DuckDB file that dbt keeps open for its run."""
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager  # noqa: PLC0415

    if getattr(DuckDBConnectionManager, "_ENV", None) is not None:
        DuckDBConnectionManager.env().close()
        DuckDBConnectionManager.close_all_connections()


def _close_logs() -> None:
    """Close dbt's log file; dbt itself only forgets it."""
    from dbt_common.events.event_manager_client import get_event_manager  # noqa: PLC0415

    for logger in get_event_manager().loggers:
        for handler in getattr(getattr(logger, "_python_logger", None), "handlers", ()):
            if isinstance(handler, RotatingFileHandler):
                handler.close()


@contextmanager
def _environment(variables: dict[str, str]) -> Iterator[None]:
    """Set environment variables, and put back what was there: the profile can read nothing else."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
