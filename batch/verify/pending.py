"""What has landed and is not loaded yet: a verification asks it, as that explains differences."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import duckdb
import pyarrow as pa

from stream.landing.micro_batch import MicroBatch, read_footer
from stream.warehouse.fresh_files import landed_rows


class Pending(Protocol):
    """Micro-batches, wherever they are."""

    def keys_among(self, keys: Sequence[str]) -> set[str]:
        """Return those of the `_id`s that they have rows of."""

    def truncate_marker(self) -> int:
        """Return the highest truncate marker in them, 0 without one."""


@dataclass(frozen=True)
class PendingFiles:
    """See `Pending`; those of a folder."""

    micro_batches: Sequence[MicroBatch]

    def keys_among(self, keys: Sequence[str]) -> set[str]:
        """Look into each file."""
        if not self.micro_batches:
            return set()
        footers = {str(each.path): read_footer(each) for each in self.micro_batches}
        landed = landed_rows(footers, old={path for path, footer in footers.items() if footer.is_old})
        with duckdb.connect(config={"threads": 1, "memory_limit": "256MB"}) as connection:
            connection.register("wanted", pa.table({"_id": pa.array(keys, pa.string())}))
            found = connection.execute(
                f"select distinct _id from {landed} as landed where _id in (select _id from wanted)"
            ).fetchall()
        return {key for (key,) in found}

    def truncate_marker(self) -> int:
        """Look into each footer."""
        return max((read_footer(each).truncate_marker or 0 for each in self.micro_batches), default=0)
