"""The cards that should be in Metabase: one for each question, and one for each big number."""

import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from batch.dashboards.metabase import visuals
from batch.dashboards.metabase.managed_by import Wanted
from batch.dashboards.metabase.statements import (
    FROM,
    PROJECT,
    PROJECT_LIST,
    TO,
    number_statement,
    statement,
    variables_of,
)
from batch.dashboards.questions import Question

# The card whose values the filter by project offers.
PROJECT_LIST_KEY = "list.projects"
_NAMES = {FROM: "From", TO: "To", PROJECT: "Project"}
_KINDS = {FROM: "date", TO: "date", PROJECT: "text"}
_ID_SPACE = uuid.UUID("6f1d0c1e-7a3b-4d52-9d0a-3f0e5b7c2a11")


def keys_of(question: Question) -> list[str]:
    """Return the keys of a question's cards, in the order they are shown in."""
    if question.display == "numbers":
        return [f"{question.name}.{place}" for place in range(len(question.measures))]
    return [question.name]


def wanted_cards(questions: Iterable[Question], *, database_id: int, collection_id: int) -> list[Wanted]:
    """Return all cards.

    Args:
        questions: To be answered.
        database_id: Of the database in Metabase that answers them.
        collection_id: Of the collection that holds them.
    """
    placed = {"type": "question", "collection_id": collection_id}
    cards = [
        Wanted(
            PROJECT_LIST_KEY,
            {
                "name": "Projects",
                "description": "What the filter by project offers.",
                "display": "table",
                "visualization_settings": {},
                "dataset_query": _query(PROJECT_LIST, (), database_id),
                **placed,
            },
        )
    ]
    for question in questions:
        about = " ".join(part for part in (question.answers, question.note) if part)
        cards += [
            Wanted(
                key,
                {
                    **body,
                    "description": about,
                    "dataset_query": _query(text, variables_of(question), database_id),
                    **placed,
                },
            )
            for key, text, body in _shown(question)
        ]
    return cards


def _shown(question: Question) -> Iterable[tuple[str, str, dict[str, Any]]]:
    """Return key, query and looks of each card of a question."""
    keys = keys_of(question)
    if question.display != "numbers":
        looks = {
            "name": question.title,
            "display": visuals.display(question),
            "visualization_settings": visuals.settings(question),
        }
        yield keys[0], statement(question), looks
        return
    for key, measure in zip(keys, question.measures, strict=True):
        looks = {
            "name": measure.label,
            "display": visuals.display(question),
            "visualization_settings": visuals.number_settings(question, measure),
        }
        yield key, number_statement(question, measure), looks


def _query(text: str, variables: Sequence[str], database_id: int) -> Mapping[str, Any]:
    tags = {
        name: {
            "id": str(uuid.uuid5(_ID_SPACE, name)),
            "name": name,
            "display-name": _NAMES[name],
            "type": _KINDS[name],
        }
        for name in variables
    }
    return {"type": "native", "database": database_id, "native": {"query": text, "template-tags": tags}}
