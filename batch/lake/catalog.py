"""The catalog as PyIceberg sees it: metadata, small appends and reads that need no Spark."""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any, TypeVar

from batch.lake.config import CATALOG, LakeConfig
from batch.lake.session import require_extra
from stream.errors import (
    CatalogRefusedError,
    CatalogUnreachableError,
    SettingsError,
    StepFailedError,
    StorageRefusedError,
    StorageUnavailableError,
)

Table = Any
"""A `pyiceberg.table.Table`; not imported unless one is opened."""
Result = TypeVar("Result")

LOADED_TAG = "loaded"
"""Of the snapshot whose summary says what is loaded, and of the one of `raw.landed` up to which that is."""
_ATTEMPTS = 20
_PASSING = (
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.CONFLICT,
    HTTPStatus.TOO_EARLY,
    HTTPStatus.TOO_MANY_REQUESTS,
)
_REFUSED = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND)
_REFUSALS = ("ACCESS_DENIED", "INVALID_ACCESS_KEY_ID", "SIGNATURE", "NO_SUCH_BUCKET")
"""Words of Amazon's client for what trying again does not help."""


class Catalog:
    """The tables by name; opened when first asked.

    Args:
        config: Where it is.
    """

    def __init__(self, config: LakeConfig) -> None:
        self._config = config
        self._catalog: Any = None
        self._is_known_as_made = False

    def table(self, name: str) -> Table | None:
        """Return a table as it is now; None if there is none.

        Args:
            name: `schema.table`.

        Raises:
            CatalogUnreachableError: The catalog does not answer.
        """
        from pyiceberg.exceptions import NoSuchTableError  # noqa: PLC0415 - see the package's docstring

        with catalog_errors():
            if not self._is_made():
                return None
            try:
                return self._opened().load_table(name)
            except NoSuchTableError:
                return None

    def names(self, schema: str) -> list[str]:
        """Return the names of the tables in a schema; none if there is no such schema.

        Raises:
            CatalogUnreachableError: The catalog does not answer.
        """
        from pyiceberg.exceptions import NoSuchNamespaceError  # noqa: PLC0415 - see the package's docstring

        with catalog_errors():
            try:
                return [name for _, name in self._opened().list_tables(schema)]
            except NoSuchNamespaceError:
                return []

    def schemas(self) -> list[str]:
        """Return the names of all schemas.

        Raises:
            CatalogUnreachableError: The catalog does not answer.
        """
        with catalog_errors():
            return sorted(name for name, *_ in self._opened().list_namespaces())

    def every_name(self) -> list[str]:
        """Return the names of all tables, as `schema.table`.

        Raises:
            CatalogUnreachableError: The catalog does not answer.
        """
        return [f"{schema}.{name}" for schema in self.schemas() for name in self.names(schema)]

    def commit(self, name: str, change: Callable[[Table], Result]) -> Result:
        """Change a table by a decision on its newest state; nobody who commits meanwhile is overwritten.

        Args:
            name: `schema.table`, which exists.
            change: Commits; called again, with the state as it is then, whenever another was faster.

        Raises:
            StepFailedError: Others were faster each time, or there is no such table.
            CatalogUnreachableError: The catalog does not answer.
        """
        from pyiceberg.exceptions import CommitFailedException  # noqa: PLC0415 - see the package's docstring

        for _ in range(_ATTEMPTS):
            table = self.table(name)
            if table is None:
                raise StepFailedError(
                    f"there is no table `{name}`", hint="run `claude-analytics load` first: it makes it"
                )
            try:
                with catalog_errors():
                    return change(table)
            except CommitFailedException:
                continue
        raise StepFailedError(
            f"cannot commit to `{name}`: others were faster {_ATTEMPTS} times", hint="try again"
        )

    def _is_made(self) -> bool:
        """Whether the catalog has been used before: Spark makes the tables of a new JDBC catalog."""
        if self._config.is_jdbc and not self._is_known_as_made:
            from sqlalchemy import inspect  # noqa: PLC0415 - see the package's docstring

            self._is_known_as_made = bool(inspect(self._opened().engine).has_table("iceberg_tables"))
        return self._is_known_as_made or not self._config.is_jdbc

    def _opened(self) -> Any:  # noqa: ANN401 - PyIceberg is not imported here
        if self._catalog is None:
            require_extra()
            from pyiceberg.catalog import load_catalog  # noqa: PLC0415 - see the package's docstring

            try:
                self._catalog = load_catalog(CATALOG, **self._config.pyiceberg_settings())
            except ModuleNotFoundError as error:  # of a part that is optional, as to sign for Amazon
                raise SettingsError(
                    f"CATALOG_PROPERTIES needs the package {error.name}, which is not installed",
                    hint=f"run `pip install {error.name}`",
                ) from error
        return self._catalog


def back_from(table: Table, snapshot_id: int | None) -> Iterator[Any]:
    """Give a snapshot and those before it, the newest first, as far as they have not expired.

    Args:
        table: Of PyIceberg.
        snapshot_id: Of the newest; none are given if it is None.
    """
    while snapshot_id is not None and (snapshot := table.snapshot_by_id(snapshot_id)) is not None:
        yield snapshot
        snapshot_id = snapshot.parent_snapshot_id


def newest_snapshot_with(table: Table, name: str) -> tuple[int, Mapping[str, str]] | None:
    """Return id and summary of the newest snapshot, in a table's present history, that has a property.

    Where the history was expired, the snapshot that is tagged `loaded` counts (see `batch.lake.maintain`).

    Args:
        table: Of PyIceberg.
        name: Of the property.
    """
    snapshot = table.current_snapshot()
    while snapshot is not None:
        properties: Mapping[str, str] = snapshot.summary.additional_properties if snapshot.summary else {}
        if name in properties:
            return snapshot.snapshot_id, properties
        parent = snapshot.parent_snapshot_id
        if parent is None:
            return None
        snapshot = table.snapshot_by_id(parent) or table.snapshot_by_name(LOADED_TAG)
    return None


def newest_with(table: Table, name: str) -> Mapping[str, str] | None:
    """Return the summary alone, as `newest_snapshot_with` finds it."""
    found = newest_snapshot_with(table, name)
    return found[1] if found else None


@contextmanager
def catalog_errors() -> Iterator[None]:
    """Raise what PyIceberg raises as an error of ours.

    Raises:
        CatalogUnreachableError: The catalog does not answer.
        CatalogRefusedError: It answers that it will not, and would again.
        StorageUnavailableError: The storage of the tables does not answer.
        StorageRefusedError: It refuses, or a file of a table is not there.
    """
    from pyiceberg.exceptions import RESTError, ServiceUnavailableError  # noqa: PLC0415 - see the package
    from requests.exceptions import RequestException  # noqa: PLC0415 - as PyIceberg's REST client raises
    from sqlalchemy.exc import SQLAlchemyError  # noqa: PLC0415 - as PyIceberg's JDBC catalog raises

    try:
        yield
    except (RESTError, ServiceUnavailableError, RequestException, SQLAlchemyError) as error:
        cause = getattr(error, "orig", None) or error
        words = (str(cause).splitlines() or [type(cause).__name__])[0]
        if _is_refusal(error):
            raise CatalogRefusedError.with_words(words) from error
        raise CatalogUnreachableError(
            f"the catalog of the Iceberg tables does not answer: {words}",
            hint="check that the server of CATALOG_URI runs and takes this user; what has landed is not lost",
        ) from error
    except _storage_errors() as error:
        raise _storage_error(error) from error


def _storage_errors() -> tuple[type[Exception], ...]:
    """Return what PyArrow raises of the tables' storage, and Azure's own client, if anything has used it."""
    module = sys.modules.get("azure.core.exceptions")
    return (OSError, module.AzureError) if module else (OSError,)


def _is_refusal(error: Exception) -> bool:
    """Whether a REST catalog has given an answer that asking again does not change, by its status in HTTP."""
    answer = getattr(error.__cause__, "response", None)
    status = answer.status_code if answer is not None else HTTPStatus.SERVICE_UNAVAILABLE
    return HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR and status not in _PASSING


def _storage_error(error: Exception) -> StorageUnavailableError | StorageRefusedError:
    """Return the error for what PyArrow or Azure's client says of a bucket, or the system of a folder."""
    text = (str(error).splitlines() or [type(error).__name__])[0]
    is_refusal = getattr(error, "status_code", None) in _REFUSED
    if (
        is_refusal
        or isinstance(error, (FileNotFoundError, PermissionError))
        or any(word in text for word in _REFUSALS)
    ):
        return StorageRefusedError(
            f"the storage of the Iceberg tables refuses: {text}",
            hint="check the address, and the keys and rights that the environment gives for it; "
            "`claude-analytics doctor` tries them",
        )
    return StorageUnavailableError(
        f"the storage of the Iceberg tables does not answer: {text}",
        hint="nothing half-done is visible; check it with `claude-analytics doctor`, then try again",
    )
