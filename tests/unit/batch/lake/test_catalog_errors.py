"""What PyIceberg raises, in our words: who may try again, and who must act."""

import pytest

from batch.lake.catalog import catalog_errors
from stream.errors import (
    AnalyticsError,
    CatalogUnreachableError,
    StorageRefusedError,
    StorageUnavailableError,
)

pytest.importorskip("pyiceberg")

DENIED = "When reading key 'x' in bucket 'b': AWS Error ACCESS_DENIED during HeadObject operation"
AWAY = "AWS Error NETWORK_CONNECTION during PutObject operation: Couldn't connect to server\nmore"


@pytest.mark.parametrize(
    ("raised", "kind", "said"),
    [
        (OSError(AWAY), StorageUnavailableError, "does not answer: AWS Error NETWORK_CONNECTION"),
        (OSError(DENIED), StorageRefusedError, "refuses: When reading"),
        (FileNotFoundError("tables/raw/landed"), StorageRefusedError, "refuses: tables/raw/landed"),
        (OSError(), StorageUnavailableError, "does not answer: OSError"),
    ],
    ids=["away", "denied", "a file is not there", "no words"],
)
def test_the_storage_of_the_tables(raised: OSError, kind: type[AnalyticsError], said: str) -> None:
    """An outage is another thing than a refusal."""
    with pytest.raises(kind) as found, catalog_errors():
        raise raised
    assert said in found.value.message
    assert "\n" not in found.value.message
    assert found.value.hint


def test_the_catalog_itself() -> None:
    """A database that does not answer is no matter of the storage."""
    from sqlalchemy.exc import OperationalError  # noqa: PLC0415 - an extra

    with pytest.raises(CatalogUnreachableError, match="does not answer: refused"), catalog_errors():
        raise OperationalError("select 1", {}, OSError("refused"))
