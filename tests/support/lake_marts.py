"""The same documents in both warehouses, the same models built from them, and what is different then."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import duckdb
import pyarrow.parquet as pq

from batch.lake.build import TARGET, build, lent_to_dbt
from batch.lake.builds import current
from batch.lake.gate import for_spark
from batch.lake.gate import validate as validate_in_spark
from batch.transform.dbt_project import DbtProject
from batch.validate.checkpoint import Gate
from batch.validate.suites import SUITES
from batch.validate.validate import LAYERS, validate
from stream.clock import utc_now
from stream.landing.fenced import FencedZone
from stream.landing.micro_batch import read_footer
from stream.landing.zone import STREAM_LANE, LandingZone
from tests.support.laking import Lake
from tests.support.marts import MARTS, MartsWarehouse
from tests.tools.compare_marts import difference

_NO_CHECKS = ("--exclude-resource-types", "test", "unit_test")


class BothMarts:
    """Marts in DuckDB and in Iceberg, of one landing zone.

    Args:
        lake: Its folder holds the landing zone, and the DuckDB file.
        timezone: Days and hours in the marts are of it.
    """

    def __init__(self, lake: Lake, *, timezone: str = "UTC") -> None:
        self.lake = lake
        self.duckdb = MartsWarehouse(lake.folder, timezone=timezone)
        # Artifacts of their own: dbt's parse cache is of one target.
        self._project = replace(self.duckdb.project, target=TARGET, data_dir=lake.folder / "spark")
        lake.spark.session().conf.set("spark.sql.shuffle.partitions", "2")

    def change(self, upserts: Iterable[Mapping[str, Any]] = (), *, deletes: Sequence[object] = ()) -> None:
        """Land and load one micro-batch in both."""
        self.duckdb.change(upserts, deletes=deletes)
        if self.lake.storage:
            newest = LandingZone(self.lake.folder / "landing", clock=utc_now).lane(STREAM_LANE).newest()
            assert newest is not None
            bucket = FencedZone(self.lake.storage, clock=utc_now).lane(STREAM_LANE)
            bucket.land(newest, pq.read_table(newest.path, partitioning=None), read_footer(newest))
        self.lake.loader().load(timeout_seconds=5)

    def build_checked(self) -> int:
        """Build everything in both, the one in Iceberg with all checks; return how many of them held."""
        self.duckdb.build_unchecked()
        result = build(self.lake.spark, self._project)
        return sum(node.status in ("pass", "warn") for node in result.nodes)

    def findings(self) -> tuple[list[str], list[str]]:
        """Check every rule in both; return which do not hold and how many rows: in DuckDB, in Spark."""
        gate = Gate(self.lake.folder / "gx", self.duckdb.path, threads=1, memory_limit="1GB")
        ours = validate(self.duckdb.warehouse, gate, run_id="compared", timeout_seconds=60)
        theirs = validate_in_spark(self.lake.spark, SUITES, LAYERS, least=0)
        assert ours.checked == theirs.checked
        first, second = (
            sorted(f"{each.layer}.{each.rule}: {each.found}" for each in found.findings)
            for found in (ours, theirs)
        )
        return first, second

    def damage(self, statement: str) -> None:
        """Run a statement in both."""
        with duckdb.connect(self.duckdb.path) as connection:
            connection.execute(statement)
        self.lake.spark.run(for_spark(statement), doing="damage it")

    def build_unchecked(self, *models: str) -> None:
        """Build in both without the checks: what these selectors of dbt name, or everything."""
        self.duckdb.build_unchecked(*models)
        self.build_in_iceberg(*models)

    def build_in_iceberg(self, *models: str) -> None:
        """Build in Iceberg alone.

        Raises:
            RuntimeError: A node failed; what its message says.
        """
        self.dbt("build", *_NO_CHECKS, *(("--select", *models) if models else ()))

    def unit_tests(self) -> int:
        """Run the unit tests of the models, which are written for UTC, in Spark; return how many there are.

        Raises:
            RuntimeError: One failed.
        """
        utc = replace(self._project, reporting_timezone="UTC")
        results = self.dbt("test", "--select", "test_type:unit", project=utc)
        return sum(each.status.value == "pass" for each in results)

    def dbt(self, *command: str, session: Any = None, project: DbtProject | None = None) -> list[Any]:
        """Call dbt on Iceberg; return the results of its nodes.

        Args:
            command: Of dbt.
            session: In place of the lake's.
            project: In place of this one.

        Raises:
            RuntimeError: A node failed; what its message says.
        """
        project = project or self._project
        with lent_to_dbt(session or self.lake.spark.session()):
            results = list(project.invoke(project.arguments(*command)).results)
        failed = [
            f"{each.node.name}: {each.message}"
            for each in results
            if each.status.value not in {"success", "pass"}
        ]
        if failed:
            raise RuntimeError("\n".join(failed))
        return results

    def differences(self, marts: Sequence[str] = MARTS) -> list[str]:
        """Return a line for each mart that is not the same in both: columns, their types, and rows."""
        different = []
        with duckdb.connect() as connection:
            connection.execute(f"attach '{self.duckdb.path}' as ours (read_only)")
            for mart in marts:
                table = self.lake.catalog.table(f"marts.{mart}")
                if table is None:
                    different.append(f"{mart} is not there")
                    continue
                connection.register("theirs", table.scan().to_arrow())
                found = difference(connection, f"ours.marts.{mart}", "theirs")
                if found:
                    different.append(f"{mart} {found}")
        return different

    def published(self) -> dict[str, list[str]]:
        """Return the rows of the marts as readers of the pointer see them."""
        found = current(self.lake.catalog)
        assert found is not None
        rows = {}
        for each in found[1]:
            table = self.lake.catalog.table(f"{each.schema}.{each.name}")
            assert table is not None
            rows[each.name] = sorted(
                map(str, table.scan(snapshot_id=each.snapshot_id).to_arrow().to_pylist())
            )
        return rows

    def wholly_built(self) -> list[str]:
        """Return the names of the incremental models in Iceberg whose last build was a whole one."""
        query = "select model from lake.ops.model_builds where whole_sequence = sequence order by 1"
        return [name for (name,) in self.lake.rows(query)]
