"""The description of all models as a site: made by dbt, served from this machine."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from batch.transform.dbt_project import DbtProject
from stream.errors import SettingsError, StepFailedError

INDEX = "static_index.html"
"""One file with everything in it: it needs no network and no server, and can be sent to somebody."""


def generate_docs(project: DbtProject, *, lease: AbstractContextManager[object]) -> Path:
    """Write the site and give its one file, `static_index.html` in dbt's target folder.

    Args:
        project: The project and its warehouse, which is asked for the columns that there are.
        lease: Entered meanwhile; the right to open the DuckDB file.

    Raises:
        StepFailedError: dbt could not read the project or the warehouse.
        WarehouseBusyError: From the warehouse lock.
    """
    if not project.warehouse.exists():
        raise StepFailedError(
            f"there is no warehouse at `{project.warehouse}`",
            hint="run `claude-analytics load` and `claude-analytics transform` first",
        )
    with lease:
        project.invoke(project.arguments("docs", "generate", "--static"))
    index = project.target_dir / INDEX
    if not index.is_file():
        raise StepFailedError(
            f"dbt wrote no `{INDEX}` in `{project.target_dir}`", hint=f"see `{project.log_dir / 'dbt.log'}`"
        )
    return index


@contextmanager
def serving_docs(index: Path, *, host: str = "127.0.0.1", port: int = 8080) -> Iterator[ThreadingHTTPServer]:
    """Return a server of the site that `serve_forever()` runs; it is closed afterwards.

    Only the site's own file is served, under every path: compiled SQL and dbt's state beside it are not.

    Args:
        index: From `generate_docs`.
        host: Address to listen at; other machines reach it only if it is not 127.0.0.1.
        port: 0 for any free one; `server_port` tells which.

    Raises:
        SettingsError: The address cannot be had.
    """
    try:
        server = ThreadingHTTPServer((host, port), partial(_OneFile, index))
    except (OSError, OverflowError) as error:
        raise SettingsError(
            f"cannot serve on `{host}:{port}`: {error}", hint="choose a free port with --port"
        ) from error
    with server:
        yield server


class _OneFile(SimpleHTTPRequestHandler):
    """Serves one file, whatever is asked for."""

    def __init__(self, index: Path, *arguments: object) -> None:
        self._index = index
        super().__init__(*arguments, directory=str(index.parent))  # type: ignore[arg-type]

    def translate_path(self, path: str) -> str:
        """Return the file."""
        del path
        return str(self._index)

    def log_message(self, *_arguments: object) -> None:
        """Say nothing: requests are no event of the pipeline."""
