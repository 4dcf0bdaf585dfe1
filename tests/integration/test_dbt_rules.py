"""Rules of the marts, measured on lines made for it."""

import csv
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from bson.objectid import ObjectId

from tests.marts import MartsWarehouse

pytestmark = pytest.mark.integration

FOLDER = Path(__file__).parents[1]
PRECISION = 0.8
"""Of ten prompts shown under a category, eight belong there. `other` promises nothing."""


@pytest.mark.parametrize("name", ["task_prompts", "task_prompts_held_out"])
def test_task_categories_are_honest(name: str, tmp_path: Path, dbt_artifacts: Path) -> None:
    """Each category is precise, on the prompts that the rules were made with and on those they never saw."""
    with (FOLDER / f"{name}.csv").open(newline="", encoding="utf-8") as file:
        labelled = list(csv.DictReader(file))
    warehouse = MartsWarehouse(tmp_path, artifacts=dbt_artifacts)
    warehouse.change(
        {
            "_id": ObjectId(f"{number:024x}"),
            "type": "user",
            "uuid": str(number),
            "sessionId": "s",
            "timestamp": datetime(2026, 3, 1, tzinfo=UTC) + timedelta(minutes=number),
            "message": {"role": "user", "content": each["prompt"]},
        }
        for number, each in enumerate(labelled)
    )
    warehouse.build("+fct_messages")
    found = [
        category
        for (category,) in warehouse.rows(
            "select task_category from marts.fct_messages where user_kind = 'prompt' order by created_at"
        )
    ]
    expected = [each["category"] for each in labelled]
    right = Counter(each for each, other in zip(found, expected, strict=True) if each == other)
    shown, there = Counter(found), Counter(expected)
    for category in sorted(there):
        precision, recall = right[category] / shown[category], right[category] / there[category]
        print(f"{category:14} precision {precision:.2f}  recall {recall:.2f}  of {there[category]}")  # noqa: T201 - it measures
    print(f"{name}: {right.total() / len(found):.0%} of {len(found)} right")  # noqa: T201
    assert [
        category
        for category in sorted(there)
        if category != "other" and right[category] / shown[category] < PRECISION
    ] == []


def test_prompts_are_classified_and_nothing_else(sample_marts: MartsWarehouse) -> None:
    """Only what a person typed has a category."""
    kinds: list[tuple[Any, ...]] = sample_marts.rows(
        "select distinct coalesce(user_kind, role) from marts.fct_messages where task_category is not null"
    )
    assert kinds == [("prompt",)]
    assert sample_marts.rows(
        "select count(*) from marts.fct_messages where user_kind = 'prompt' and task_category is null"
    ) == [(0,)]
