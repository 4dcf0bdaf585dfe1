"""The steps of the pipeline where Iceberg is the warehouse; they mean what `batch.pipeline.steps` says."""

from collections.abc import Sequence
from dataclasses import dataclass

from batch.lake.catalog import newest_with
from batch.lake.gate import validate
from batch.lake.load import LakeLoader
from batch.lake.maintain import LakeMaintenance
from batch.lake.notes import LOAD_ID
from batch.pipeline.runner import StepResult
from batch.pipeline.steps import Cycle
from batch.runs.journal import documents_at_last_successes
from batch.validate.suites import SUITES
from batch.validate.validate import LAYERS, Validation, least_documents
from stream.errors import SettingsError


@dataclass(frozen=True, kw_only=True)
class LakeCycle(Cycle):
    """The same steps; those of DuckDB's that are not replaced here do not touch its file.

    Attributes:
        loader: Loads into Iceberg.
        upkeep: Of the Iceberg tables.
    """

    loader: LakeLoader
    upkeep: LakeMaintenance

    def load(self) -> StepResult:
        """Load what has landed and is not loaded yet."""
        loaded = self.loader.load(timeout_seconds=self.lease_timeout_seconds)
        return StepResult(f"{loaded.rows:,} rows loaded", loaded.rows)

    def look(self, layers: Sequence[str] = LAYERS, *, build_docs: bool = False) -> Validation:
        """Check some layers, and only report.

        Raises:
            SettingsError: Data Docs are asked for, which Great Expectations alone writes.
        """
        if build_docs:
            raise SettingsError(
                "`validate --build-docs` does not work with WAREHOUSE=iceberg",
                hint="without it, `validate` prints what it found",
            )
        least = least_documents(documents_at_last_successes(self.journal.steps()), ratio=self.volume_ratio)
        return validate(self.loader.spark, SUITES, layers, least=least)

    def newest_load(self) -> int | None:
        """Return the id of the newest load, None before the first.

        Raises:
            CatalogUnreachableError: The catalog does not answer.
        """
        catalog = self.loader.catalog
        documents = catalog.table("raw.documents") if catalog.is_made() else None
        found = newest_with(documents, LOAD_ID) if documents else None
        return int(found[LOAD_ID]) if found else None

    def maintain(self) -> StepResult:
        """Clear away old builds, old snapshots, and files that nothing names."""
        serving = self.publisher.serving
        removed = serving.remove_unfinished() + len(serving.remove_old(keep=self.publisher.keep))
        self.journal.trim()
        return StepResult(", ".join([f"{removed:,} old builds removed", *self.upkeep.run()]), None)

    def copy_journal(self) -> None:
        """Do nothing: a publish takes the runs from the journal itself."""
