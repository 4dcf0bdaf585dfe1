"""The dashboards that should be in Metabase: where each card stands, and the filters above.

What others put on our dashboards stays: cards, texts, filters, tabs. It moves below ours where both would
stand in one place.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from batch.dashboards.metabase.cards import PROJECT_LIST_KEY, keys_of
from batch.dashboards.metabase.managed_by import Wanted
from batch.dashboards.metabase.statements import FROM, PROJECT, TO, variables_of
from batch.dashboards.questions import Question, by_dashboard, side_by_side

# Metabase's grid has 24 columns.
_WIDTH = 24
_NUMBER_SIZE, _CHART_SIZE, _TABLE_SIZE = (4, 3), (12, 7), (24, 8)
_KEPT = (
    *("id", "card_id", "action_id", "dashboard_tab_id", "row", "col", "size_x", "size_y"),
    *("parameter_mappings", "visualization_settings", "inline_parameters"),
)
_ABOUT = "Filter by {filters} above; each chart answers for what is chosen."

Body = Mapping[str, Any]


@dataclass(frozen=True)
class Place:
    """Where a card stands, in columns and rows of the grid.

    Attributes:
        key: Of the card.
        col: Its left.
        row: Its top.
        width: In columns.
        height: In rows.
        variables: Of its query, to be tied to the filters.
    """

    key: str
    col: int
    row: int
    width: int
    height: int
    variables: tuple[str, ...]


def layout(questions: Sequence[Question]) -> list[Place]:
    """Place the cards of one dashboard: numbers in a row, charts two side by side, tables across."""
    places: list[Place] = []
    col = row = height_of_row = 0
    for question, is_wide in side_by_side(questions):
        for key in keys_of(question):
            width, height = _size(question, is_wide=is_wide)
            if col + width > _WIDTH:
                col, row, height_of_row = 0, row + height_of_row, 0
            places.append(Place(key, col, row, width, height, variables_of(question)))
            col, height_of_row = col + width, max(height_of_row, height)
        if question.display == "numbers":
            col, row, height_of_row = 0, row + height_of_row, 0
    return places


def wanted_dashboards(
    questions: Iterable[Question], card_ids: Mapping[str, int], *, collection_id: int
) -> list[Wanted]:
    """Return all dashboards; their cards are in Metabase already.

    Args:
        questions: In order.
        card_ids: Of our cards, by key.
        collection_id: Of the collection that holds the dashboards.
    """
    by_days, by_project = _filters(card_ids[PROJECT_LIST_KEY])
    return [
        Wanted(
            f"dashboard.{name.lower().replace(' ', '-')}",
            {
                "name": name,
                "description": _ABOUT.format(
                    filters="days and project" if _has_projects(members) else "days"
                ),
                "collection_id": collection_id,
                "width": "full",
                "parameters": [*by_days, *([by_project] if _has_projects(members) else [])],
                "dashcards": [_dashcard(place, card_ids[place.key]) for place in layout(members)],
            },
        )
        for name, members in by_dashboard(list(questions))
    ]


def _has_projects(questions: Iterable[Question]) -> bool:
    return any(question.has_projects for question in questions)


def is_whole(wanted: Wanted, found: Body) -> bool:
    """Whether a dashboard still has all our cards, wherever somebody moved them."""
    present = {each.get("card_id") for each in found["dashcards"]}
    return present.issuperset(each["card_id"] for each in wanted.body["dashcards"])


def merged(wanted: Body, found: Body, *, gone: frozenset[int]) -> dict[str, Any]:
    """Put what should be there and what others added into one request, which replaces all there is.

    Args:
        wanted: Body of our request.
        found: The dashboard as it is.
        gone: Ids of our cards that are no longer wanted anywhere.
    """
    tabs = [{"id": tab["id"], "name": tab["name"]} for tab in found.get("tabs") or []]
    tab_id = tabs[0]["id"] if tabs else None
    present: dict[int, Body] = {}
    others: list[dict[str, Any]] = []
    needed = {each["card_id"] for each in wanted["dashcards"]}
    for each in found["dashcards"]:
        card_id = each.get("card_id")
        if card_id in needed and card_id not in present:
            present[card_id] = each
        elif card_id not in gone:
            others.append(_kept(each))
    our_filters = {each["id"] for each in wanted["parameters"]}
    mine = [
        _reused(each, present.get(each["card_id"]), -place, tab_id, our_filters)
        for place, each in enumerate(wanted["dashcards"], start=1)
    ]
    body = {
        **wanted,
        "parameters": [
            *wanted["parameters"],
            *(each for each in found.get("parameters") or [] if each["id"] not in our_filters),
        ],
        "dashcards": [*mine, *_moved_below(others, mine, tab_id)],
    }
    return body | ({"tabs": tabs} if tabs else {})


def _size(question: Question, *, is_wide: bool) -> tuple[int, int]:
    if question.display == "numbers":
        return _NUMBER_SIZE
    if question.display in {"table", "heatmap"}:
        return (_WIDTH if is_wide else _CHART_SIZE[0], _TABLE_SIZE[1])
    return (_WIDTH if is_wide else _CHART_SIZE[0], _CHART_SIZE[1])


def _filters(project_list_id: int) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    days = [
        {"id": f"claude-{name}", "name": label, "slug": name, "type": "date/single", "sectionId": "date"}
        for name, label in ((FROM, "From"), (TO, "To"))
    ]
    project = {
        "id": f"claude-{PROJECT}",
        "name": "Project",
        "slug": PROJECT,
        "type": "string/=",
        "sectionId": "string",
        "isMultiSelect": False,
        "values_query_type": "list",
        "values_source_type": "card",
        "values_source_config": {
            "card_id": project_list_id,
            "value_field": ["field", "project", {"base-type": "type/Text"}],
        },
    }
    return days, project


def _dashcard(place: Place, card_id: int) -> dict[str, Any]:
    return {
        "card_id": card_id,
        "row": place.row,
        "col": place.col,
        "size_x": place.width,
        "size_y": place.height,
        "parameter_mappings": [
            {
                "parameter_id": f"claude-{name}",
                "card_id": card_id,
                "target": ["variable", ["template-tag", name]],
            }
            for name in place.variables
        ],
        "visualization_settings": {},
        "series": [],
    }


def _reused(
    wanted: Body, found: Body | None, new_id: int, tab_id: int | None, our_filters: set[str]
) -> dict[str, Any]:
    """Set the id that a card's place has already; filters that others tied to it stay tied."""
    mappings = (found or {}).get("parameter_mappings") or []
    foreign = [each for each in mappings if each["parameter_id"] not in our_filters]
    placed = {
        **wanted,
        "id": found["id"] if found else new_id,
        "parameter_mappings": [*wanted["parameter_mappings"], *foreign],
    }
    return placed | ({"dashboard_tab_id": tab_id} if tab_id is not None else {})


def _kept(found: Body) -> dict[str, Any]:
    """Return a place that is not ours as Metabase takes it back; it gives more than it takes."""
    kept = {name: found[name] for name in _KEPT if found.get(name) is not None}
    return kept | {"series": [{"id": each["id"]} for each in found.get("series") or []]}


def _moved_below(
    others: list[dict[str, Any]], mine: Sequence[Body], tab_id: int | None
) -> list[dict[str, Any]]:
    beside = [each for each in others if each.get("dashboard_tab_id") == tab_id]
    if not any(_overlap(one, other) for one in mine for other in beside):
        return others
    down = max(each["row"] + each["size_y"] for each in mine) - min(each["row"] for each in beside)
    return [{**each, "row": each["row"] + down} if each in beside else each for each in others]


def _overlap(one: Body, other: Body) -> bool:
    is_beside = one["col"] >= other["col"] + other["size_x"] or other["col"] >= one["col"] + one["size_x"]
    is_below = one["row"] >= other["row"] + other["size_y"] or other["row"] >= one["row"] + one["size_y"]
    return not (is_beside or is_below)
