"""One loader at a time, over all machines, where the catalog is PostgreSQL."""

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

from batch.lake.config import LakeConfig
from stream.errors import CatalogUnreachableError, WarehouseBusyError

_KEY = 0x636C6175
"""Of the advisory lock; any number that nobody else uses in that database."""
_POLL_SECONDS = 0.2


@contextmanager
def loading_lock(config: LakeConfig, *, timeout_seconds: float) -> Iterator[None]:
    """Hold the right to load; PostgreSQL takes it back from a process that has died.

    With a REST catalog nothing is held: loads that meet are sorted out by Iceberg's commits and by versions.

    Raises:
        WarehouseBusyError: Another process has it for longer.
        CatalogUnreachableError: The catalog does not answer.
    """
    if not config.is_jdbc:
        yield
        return
    import psycopg2  # noqa: PLC0415 - see the package's docstring

    deadline = time.monotonic() + timeout_seconds
    try:
        connection = psycopg2.connect(config.catalog_uri.get_secret_value())
    except psycopg2.OperationalError as error:
        raise CatalogUnreachableError(
            f"the catalog of the Iceberg tables does not answer: {str(error).splitlines()[0]}",
            hint="check that the server of CATALOG_URI runs and takes this user; what has landed is not lost",
        ) from error
    with closing(connection):
        connection.autocommit = True  # a transaction left open would hold back PostgreSQL's vacuum
        with connection.cursor() as cursor:
            while True:
                cursor.execute("select pg_try_advisory_lock(%s)", (_KEY,))
                if cursor.fetchone()[0]:
                    break
                if time.monotonic() >= deadline:
                    raise WarehouseBusyError(
                        "another process loads into the Iceberg tables",
                        hint="nothing is lost: what has landed waits; try again",
                    )
                time.sleep(_POLL_SECONDS)
            yield
