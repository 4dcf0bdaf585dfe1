"""An incremental build gives the same rows as a full refresh, whatever arrives, and in whatever order."""

import copy
import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from bson.objectid import ObjectId

from batch import shipped
from tests.support.marts import MartsWarehouse, documents_of, documents_of_file

pytestmark = pytest.mark.integration

Document = dict[str, Any]

STEPS = int(os.environ.get("DBT_PROPERTY_STEPS", "3"))
SEEDS = range(int(os.environ.get("DBT_PROPERTY_SEEDS", "2")))


class Arrivals:
    """Seeded changes of a collection: new lines, late ones, repeated, forked, moved, updated and deleted.

    Args:
        documents: What arrives in time, in any order.
        seed: Of the chance.
    """

    def __init__(self, documents: list[Document], seed: int) -> None:
        self._chance = random.Random(seed)
        self._coming = self._chance.sample(documents, len(documents))
        self._present: dict[object, Document] = {}

    def step(self) -> tuple[list[Document], list[object]]:
        """Return the next upserts, and the `_id`s deleted after them."""
        count = self._chance.choice([1, 40, 250]) if self._present else 350
        arriving = [self._coming.pop() for _ in range(min(count, len(self._coming)))]
        if self._present:
            arriving += [*self._updates(), *self._repetitions(), *self._fork()]
        for document in arriving:
            self._present[document["_id"]] = document
        touched = {document["_id"] for document in arriving}
        deleted = [each for each in self._some(self._chance.choice([0, 3, 30])) if each["_id"] not in touched]
        for document in deleted:
            del self._present[document["_id"]]
        return arriving, [document["_id"] for document in deleted]

    def _some(self, count: int) -> list[Document]:
        present = list(self._present.values())
        return self._chance.sample(present, min(count, len(present)))

    def _updates(self) -> Iterator[Document]:
        for document in self._some(8):
            changed = copy.deepcopy(document)
            other = self._some(1)[0]
            change = self._chance.randrange(5)
            if change == 0 and isinstance(changed.get("message"), dict) and "usage" in changed["message"]:
                changed["message"]["usage"]["output_tokens"] = self._chance.randrange(5000)
            elif change == 1:
                changed.pop("uuid", None)
            elif change == 2:
                changed["sessionId"] = other.get("sessionId") or "moved"
            elif change == 3:
                changed |= {"summary": "a summary", "leafUuid": other.get("uuid")}
            else:
                changed.pop("sessionId", None)
            yield changed

    def _repetitions(self) -> Iterator[Document]:
        for document in self._some(3):
            yield self._again(document)

    def _fork(self) -> Iterator[Document]:
        parent = self._some(1)[0].get("sessionId")
        child = f"fork-{self._chance.randrange(3)}"
        if parent is None or self._chance.random() < 0.3:
            return
        for document in list(self._present.values()):
            if document.get("sessionId") == parent and self._chance.random() < 0.8:
                source_file = f"{document['projectId']}/{child}.jsonl"
                yield self._again(document) | {"sessionId": child, "sourceFile": source_file}

    def _again(self, document: Document) -> Document:
        return copy.deepcopy(document) | {"_id": ObjectId(self._chance.randbytes(12))}


@pytest.mark.parametrize("seed", SEEDS)
def test_random_arrivals(seed: int, tmp_path: Path, dbt_artifacts: Path) -> None:
    """After each step every mart is, row for row, what a full refresh makes of the same documents."""
    warehouse = MartsWarehouse(tmp_path, artifacts=dbt_artifacts)
    arrivals = Arrivals(documents_of(shipped.sample_logs()), seed)
    chance = random.Random(seed)
    for step in range(STEPS):
        upserts, deletes = arrivals.step()
        warehouse.change(upserts, deletes=deletes)
        if step and chance.random() < 0.4:
            part = chance.choice(["base_lines", "fct_tool_calls", "dim_sessions", "staging", "marts"])
            warehouse.build_unchecked(part)
        build = warehouse.build if step == STEPS - 1 else warehouse.build_unchecked
        build()  # in the end all checks hold, too
        if step == 0:
            continue  # which has built everything
        found, expected = warehouse.marts(), warehouse.marts_of_full_refresh()
        assert [] == [mart for mart in expected if found[mart] != expected[mart]], f"step {step}"
    wholly_built = warehouse.rows("select count(*) from ops.model_builds where whole_sequence = sequence")
    assert [(0,)] == wholly_built


def test_snapshots_of_a_growing_log(shared_logs: Path, tmp_path: Path, dbt_artifacts: Path) -> None:
    """In order, or shuffled and some twice: the marts are those of the last snapshot."""
    growth = shared_logs.parents[1] / "claude-growth"
    paths = sorted(growth.glob("*/*.jsonl"))
    snapshots = [documents_of_file(path, growth, source_file="project/conversation.jsonl") for path in paths]
    first, second, *_ = random.Random(4).sample(snapshots, len(snapshots))
    orders = {"in order": snapshots[1:], "shuffled": [first, second, second, snapshots[-1]]}
    marts = {}
    for name, order in orders.items():
        warehouse = MartsWarehouse(tmp_path / name.replace(" ", "-"), artifacts=dbt_artifacts)
        for snapshot in order:
            warehouse.change(snapshot)
            warehouse.build_unchecked()
        marts[name] = warehouse.marts()
    assert warehouse.marts_of_full_refresh() == marts["in order"]
    assert [] == [name for name in orders if marts[name] != marts["in order"]]


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory, sample_marts: MartsWarehouse) -> MartsWarehouse:
    """Return built marts of the sample, that the tests below change, one after the other."""
    return sample_marts.copied(tmp_path_factory.mktemp("changing"))


def versions(warehouse: MartsWarehouse) -> dict[str, tuple[int, int]]:
    """Return the version of each model, and the last version that was built wholly."""
    return {
        model: (sequence, whole_sequence)
        for model, sequence, whole_sequence in warehouse.rows(
            "select model, sequence, whole_sequence from ops.model_builds"
        )
    }


def test_nothing_new_rebuilds_nothing(warehouse: MartsWarehouse) -> None:
    """A build without a load in between changes no model's version and no row."""
    before = versions(warehouse), warehouse.marts()
    warehouse.build()
    assert (versions(warehouse), warehouse.marts()) == before


def test_only_affected_conversations_are_rebuilt(warehouse: MartsWarehouse) -> None:
    """One late line in one conversation touches it and its fork, nothing else."""
    [(session,)] = warehouse.rows(
        "select session_id from marts.dim_sessions where title = 'Split the cart module'"
    )
    [(fork,)] = warehouse.rows(
        "select session_id from marts.dim_sessions where title = 'Split the cart module, part two'"
    )
    late = {
        "_id": ObjectId(),
        "type": "user",
        "uuid": "late",
        "sessionId": session,
        "timestamp": "2024-02-29T12:00:00Z",
        "message": {"role": "user", "content": "Explain the cart"},
        "projectId": "p",
        "sourceFile": f"p/{session}.jsonl",
    }
    warehouse.change([late])
    warehouse.build("base_lines")
    changed = warehouse.rows("select distinct session_id from ops.model_changes where model = 'base_lines'")
    assert {session, fork} == {each for (each,) in changed}
    warehouse.build_unchecked()
    assert [("2024-02-29",)] == warehouse.rows("select min(date_key)::varchar from marts.dim_date")


def test_a_deleted_conversation_is_gone_everywhere(warehouse: MartsWarehouse) -> None:
    """No mart keeps a row of it; with the late line before, all is as a full refresh makes it."""
    [(session,)] = warehouse.rows("select session_id from marts.dim_sessions where title = 'Night pager'")
    ids = warehouse.rows("select _id from raw.conversations where session_id = ?", [session])
    warehouse.change(deletes=[ObjectId(document_id) for (document_id,) in ids])
    warehouse.build_unchecked()
    left = warehouse.rows(
        "select count(*) from (select session_id from marts.dim_sessions union all "
        "select session_id from marts.fct_messages union all select session_id from marts.fct_tool_calls "
        "union all select session_id from marts.fct_api_calls) where session_id = ?",
        [session],
    )
    assert [(0,)] == left
    assert warehouse.marts_of_full_refresh() == warehouse.marts()


def test_a_bulk_load_rebuilds_wholly(warehouse: MartsWarehouse) -> None:
    """Such a load does not list what changed: everything may have."""
    before = versions(warehouse)
    warehouse.change()
    with warehouse.warehouse.opened(timeout_seconds=5) as connection:
        connection.execute(
            "update raw.loads set is_bulk = true where load_id = (select max(load_id) from raw.loads)"
        )
    warehouse.build_unchecked()
    after = versions(warehouse)
    assert {model: sequence + 1 for model, (sequence, _) in before.items()} == {
        model: whole_sequence for model, (_, whole_sequence) in after.items()
    }


def test_a_warehouse_rebuilt_from_the_landing_zone_is_noticed(warehouse: MartsWarehouse) -> None:
    """All rows are new, so all models are."""
    before = warehouse.marts()
    warehouse.warehouse.rebuild(timeout_seconds=5)
    warehouse.build_unchecked()
    assert all(sequence == whole for sequence, whole in versions(warehouse).values())
    assert before == warehouse.marts()


def test_another_time_zone_rebuilds_wholly(warehouse: MartsWarehouse) -> None:
    """Days and hours of all rows change with it."""
    warehouse.use_timezone("America/New_York")
    warehouse.build_unchecked()
    found = warehouse.rows(
        "select count(*) from marts.fct_messages "
        "where date_key <> cast(timezone('America/New_York', created_at) as date)"
    )
    assert [(0,)] == found
    assert all(sequence == whole for sequence, whole in versions(warehouse).values())
