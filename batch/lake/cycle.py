"""The Iceberg tables, as the steps of the pipeline see their warehouse."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from batch.lake.catalog import newest_with
from batch.lake.gate import validate
from batch.lake.landed_retention import LandedRetention
from batch.lake.landed_upkeep import LandedUpkeep
from batch.lake.load import LakeLoader
from batch.lake.maintain import LakeMaintenance
from batch.lake.notes import LOAD_ID
from batch.pipeline.side import OnProgress
from batch.runs.journal import StepRun
from batch.validate.checkpoint import Outcome
from batch.validate.data_docs import write_data_docs
from batch.validate.suites import SUITES
from batch.validate.validate import Validation


@dataclass(frozen=True)
class LakeCycleSide:
    """The tables and Spark; see `batch.pipeline.side.CycleSide`.

    Attributes:
        loader: Its session of Spark serves all steps of a run.
        upkeep: Of the tables.
        landed_upkeep: Of landed objects; None where they are files.
        landed_retention: None keeps all that has landed for ever.
        gx_folder: Where Great Expectations keeps results and Data Docs.
        lease_timeout_seconds: How long to wait for another loader.
    """

    loader: LakeLoader
    upkeep: LakeMaintenance
    landed_upkeep: LandedUpkeep | None
    landed_retention: LandedRetention | None
    gx_folder: Path
    lease_timeout_seconds: float

    def load(self, on_progress: OnProgress) -> int:
        """See `CycleSide`; what has landed is one MERGE, of which there is no progress to show."""
        del on_progress
        with self.loader.spark.ended_by_signals():
            return self.loader.load(timeout_seconds=self.lease_timeout_seconds).rows

    def check(
        self, layers: Sequence[str], *, run_id: str, least_documents: int, build_docs: bool
    ) -> Validation:
        """See `CycleSide`; Spark is asked, and Great Expectations writes the Data Docs."""

        def write_docs(outcomes: Sequence[Outcome]) -> Path:
            return write_data_docs(
                self.gx_folder,
                outcomes,
                run_id=run_id,
                checked_at=self.loader.clock(),
                parameters={"least_documents": least_documents},
                warehouse=self.loader.spark.config.location,
            )

        with self.loader.spark.ended_by_signals():
            return validate(
                self.loader.spark,
                SUITES,
                layers,
                least=least_documents,
                write_docs=write_docs if build_docs else None,
            )

    def newest_load(self) -> int | None:
        """See `CycleSide`; Spark is not asked."""
        catalog = self.loader.catalog
        documents = catalog.table("raw.documents")
        found = newest_with(documents, LOAD_ID) if documents else None
        return int(found[LOAD_ID]) if found else None

    def maintain(self) -> list[str]:
        """See `CycleSide`."""
        with self.upkeep.spark.ended_by_signals():
            done = self.landed_upkeep.run() if self.landed_upkeep else []
            done += self.landed_retention.run() if self.landed_retention else []
            return done + self.upkeep.run()

    def note_runs(self, steps: Sequence[StepRun]) -> None:
        """Do nothing: a publish takes the runs from the journal itself."""
