"""Publishes marts in Iceberg: tags, the pointer, and a copy in `serving/` for dashboards on one machine."""

from dataclasses import dataclass

from batch.lake.builds import BuiltTable, point, tables_now, tables_of, tag, untag
from batch.lake.catalog import Catalog
from batch.publish.manifest import Manifest
from batch.publish.publish import Published, Publisher
from stream.errors import StepFailedError

MARTS = "marts"


@dataclass(frozen=True, kw_only=True)
class LakePublisher(Publisher):
    """A publisher whose warehouse is a `batch.lake.mirror.Mirror`.

    Attributes:
        catalog: Of the tables.
        chosen: The tables of the build that is being published; the mirror copies the same.
    """

    catalog: Catalog
    chosen: list[BuiltTable]

    def publish(self, build_id: str, *, timeout_seconds: float) -> Published:
        """Tag, copy and show the marts as they are. Raises as `Publisher.publish`."""
        self.chosen[:] = tables_now(self.catalog, MARTS)
        if not self.chosen:
            raise StepFailedError(
                "there is nothing to publish: the catalog has no marts yet",
                hint="run `claude-analytics transform` first",
            )
        tag(self.catalog, build_id, self.chosen)
        self.at_failpoint("tables_tagged")
        return super().publish(build_id, timeout_seconds=timeout_seconds)

    def roll_back(self, build_id: str) -> Published:
        """Let readers see an earlier build again. Raises as `Publisher.roll_back`."""
        self.chosen[:] = tables_of(self.catalog, build_id)
        return super().roll_back(build_id)

    def _make_current(self, manifest: Manifest) -> Published:
        """Move the pointer first: Iceberg shows what `serving/` shows, or is about to."""
        point(self.catalog, manifest.build_id, self.chosen, now=self.clock())
        self.at_failpoint("pointer_moved")
        published = super()._make_current(manifest)
        untag(self.catalog, published.removed, MARTS)
        return published
