"""Rules of the marts, measured on lines made for it."""

import csv
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from bson.objectid import ObjectId

from batch.shipped import dbt_project
from tests.support.marts import MartsWarehouse
from tests.support.paths import DATA

pytestmark = pytest.mark.integration

FOLDER = DATA
LABELLED = {"task_prompts": 1, "task_prompts_held_out": 3}
"""Files of prompts, and the column of the documentation with the precision on each."""
PRECISION = 0.8
"""Of ten prompts shown under a category, eight belong there. `other` promises nothing."""


def documented(column: int) -> dict[str, tuple[str, str]]:
    """Return precision and found prompts of each category, as the description of the column tells them."""
    text = (dbt_project() / "models" / "intermediate" / "task_category.md").read_text()
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line[:1] == "|"]
    return {cells[0].strip("`"): (cells[column], cells[column + 1]) for cells in rows[2:]}


def labelled(name: str) -> list[dict[str, str]]:
    """Return prompts, each with the category that people say it belongs to."""
    with (FOLDER / f"{name}.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def categorised(tmp_path_factory: pytest.TempPathFactory, dbt_artifacts: Path) -> MartsWarehouse:
    """Return a warehouse in which each file of prompts is a conversation."""
    warehouse = MartsWarehouse(tmp_path_factory.mktemp("categorised"), artifacts=dbt_artifacts)
    warehouse.change(
        {
            "_id": ObjectId(),
            "type": "user",
            "uuid": f"{name} {number}",
            "sessionId": name,
            "timestamp": datetime(2026, 3, 1, tzinfo=UTC) + timedelta(minutes=number),
            "message": {"role": "user", "content": each["prompt"]},
        }
        for name in LABELLED
        for number, each in enumerate(labelled(name))
    )
    warehouse.build_unchecked("+fct_messages")
    return warehouse


@pytest.mark.parametrize(("name", "column"), LABELLED.items())
def test_task_categories_are_honest(name: str, column: int, categorised: MartsWarehouse) -> None:
    """Each category is precise, on the prompts that the rules were made with and on those they never saw.

    How precise is told to everybody who reads what the column is.
    """
    found = [
        category
        for (category,) in categorised.rows(
            "select task_category from marts.fct_messages "
            "where user_kind = 'prompt' and session_id = ? order by created_at",
            [name],
        )
    ]
    expected = [each["category"] for each in labelled(name)]
    right = Counter(each for each, other in zip(found, expected, strict=True) if each == other)
    shown, there = Counter(found), Counter(expected)
    precision = {category: right[category] / shown[category] for category in sorted(there)}
    assert [] == [each for each, share in precision.items() if each != "other" and share < PRECISION]
    assert {
        category: (f"{precision[category]:.0%}", f"{right[category]} of {there[category]}")
        for category in sorted(there)
    } == documented(column)


def test_prompts_are_classified_and_nothing_else(sample_marts: MartsWarehouse) -> None:
    """Only what a person typed has a category."""
    kinds: list[tuple[Any, ...]] = sample_marts.rows(
        "select distinct coalesce(user_kind, role) from marts.fct_messages where task_category is not null"
    )
    assert [("prompt",)] == kinds
    assert [(0,)] == sample_marts.rows(
        "select count(*) from marts.fct_messages where user_kind = 'prompt' and task_category is null"
    )
