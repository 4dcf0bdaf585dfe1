"""Plans on disk: which one is unfinished, and what may be resumed."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from batch.backfill.filters import Filters
from batch.backfill.plan import Origin, Plan, PlanStore
from batch.backfill.ranges import Bound
from stream.clock import utc_now
from stream.core.position import Fingerprint
from stream.errors import BackfillMismatchError, SchemaTooNewError
from stream.landing.zone import LandingZone

SOURCE = Fingerprint("cluster", "rs0", "logs.conversations", "backfill")
PLAN = Plan(
    id="20260103T100000Z-ab12",
    source=SOURCE,
    collection_id="0123",
    filters=Filters(since=datetime(2026, 1, 1, tzinfo=UTC), project="one"),
    bounds=[Bound({"_id": 5}), Bound({"_id": "x"})],
    documents=300,
    size_bytes=60_000,
    created_at="2026-01-03T10:00:00+00:00",
)


@pytest.fixture
def landing(tmp_path: Path) -> LandingZone:
    return LandingZone(tmp_path / "landing", clock=utc_now)


@pytest.fixture
def store(landing: LandingZone) -> PlanStore:
    return PlanStore(landing)


def test_a_saved_plan_is_unfinished(store: PlanStore) -> None:
    """What was saved comes back whole, and may be resumed, also if the collection's id may not be seen."""
    store.save(PLAN)

    assert PLAN == store.unfinished()
    PLAN.require(Origin(SOURCE, None), PLAN.filters)
    assert [0, 1, 2] == [piece.number for piece in PLAN.ranges]


@pytest.mark.parametrize(
    "end",
    [lambda store: store.finish(PLAN, {"documents": 3}), lambda store: store.abandon(at="now")],
    ids=["finished", "abandoned"],
)
def test_an_ended_plan_is_not_unfinished(store: PlanStore, end: Callable[[PlanStore], object]) -> None:
    """Both ends are explicit."""
    store.save(PLAN)
    end(store)

    assert store.unfinished() is None


def test_the_newest_unfinished_plan_counts(store: PlanStore) -> None:
    """Their names are their times."""
    newer = PLAN.model_copy(update={"id": "20260104T100000Z-0000"})
    store.save(newer)
    store.save(PLAN)

    assert newer == store.unfinished()
    assert 2 == store.abandon(at="now")
    assert 0 == store.abandon(at="later")


def test_nothing_half_written_stays_in_an_abandoned_lane(store: PlanStore, landing: LandingZone) -> None:
    """Its writer was killed, and nobody will write there again."""
    store.save(PLAN)
    lane = landing.lane(PLAN.lane)
    half_written = lane.folder / "date=2026-01-03" / ".000000000003-02b0bbe8.parquet.inflight"
    half_written.parent.mkdir()
    half_written.touch()

    store.abandon(at="now")

    assert not half_written.exists()


@pytest.mark.parametrize(
    ("origin", "filters", "expected"),
    [
        (Origin(SOURCE, "4567"), PLAN.filters, "the collection's id is `4567`, was `0123`"),
        (Origin(replace(SOURCE, namespace="a.b"), "0123"), PLAN.filters, "namespace is `a.b`"),
        (Origin(replace(SOURCE, cluster_id="other"), None), PLAN.filters, "cluster_id is `other`"),
        (PLAN.origin, Filters(), "takes other documents: `--since 2026-01-01 00:00:00+00:00 --project one`"),
    ],
    ids=["re-created", "another namespace", "another cluster", "other filters"],
)
def test_a_plan_of_other_documents_is_refused(origin: Origin, filters: Filters, expected: str) -> None:
    """The message names what differs, the hint how to go on."""
    with pytest.raises(BackfillMismatchError) as caught:
        PLAN.require(origin, filters)

    assert expected in caught.value.message
    assert "--restart" in caught.value.hint


@pytest.mark.parametrize(
    ("content", "error", "said"),
    [
        (b"{", BackfillMismatchError, "cannot read the plan"),
        (
            PLAN.model_copy(update={"schema_version": 99}).to_json(),
            SchemaTooNewError,
            "has schema version 99",
        ),
    ],
    ids=["damaged", "of a newer version"],
)
def test_a_plan_that_cannot_be_read_is_named_and_can_be_forgotten(
    store: PlanStore, landing: LandingZone, content: bytes, error: type[Exception], said: str
) -> None:
    """Rather than understood wrongly; `--restart` gets rid of it."""
    store.save(PLAN)
    (landing.root / PLAN.lane / "plan.json").write_bytes(content)
    with pytest.raises(error, match=said):
        store.unfinished()

    store.abandon(at="now")

    assert store.unfinished() is None


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"schema_version": 1, "not_before": 7 << 32 | 3}, 7 << 31 | 3),
        ({"schema_version": 1, "not_before": None}, None),
        ({"schema_version": 1, "floor": 7 << 32 | 3}, 7 << 31 | 3),
    ],
    ids=["other packing", "none", "other name"],
)
def test_a_plan_of_an_older_version_is_taken_over(
    store: PlanStore, landing: LandingZone, changed: dict[str, Any], expected: int | None
) -> None:
    """Cluster times are packed as now, under the name they have now."""
    store.save(PLAN)
    path = landing.root / PLAN.lane / "plan.json"
    fields = json.loads(path.read_text())
    del fields["not_before"]
    path.write_text(json.dumps(fields | changed))

    assert PLAN.model_copy(update={"not_before": expected}) == store.unfinished()
