"""What must change in Metabase, and where cards stand: decided without any server."""

from itertools import combinations
from typing import Any

import pytest

from batch.dashboards.metabase.cards import PROJECT_LIST_KEY, keys_of, wanted_cards
from batch.dashboards.metabase.dashboards import layout, merged, wanted_dashboards
from batch.dashboards.metabase.managed_by import Wanted, mark_of, marked, ours
from batch.dashboards.metabase.plan import plan_cards, plan_dashboards, plan_removal
from batch.dashboards.metabase.visuals import settings
from batch.dashboards.questions import Question, by_dashboard, read_questions
from batch.shipped import questions

QUESTIONS = {question.name: question for question in read_questions(questions())}
CARD = Wanted("cost", {"name": "Cost", "description": "What does it cost?", "display": "bar"})


def found(card: Wanted, card_id: int = 7, **changes: Any) -> dict[str, Any]:
    """Return a card as Metabase would after we wrote it."""
    return {"id": card_id, **card.marked_body, **changes}


def test_the_mark_stands_below_the_description() -> None:
    """People read what a chart answers; the last line says whose it is."""
    assert (
        f"What does it cost?\n\nKept by claude-analytics: cost {CARD.fingerprint}"
        == (CARD.marked_body["description"])
    )


@pytest.mark.parametrize("description", [None, "", "mine", "Kept by claude-analytics", "Kept by hand: a b"])
def test_what_has_no_mark_is_not_ours(description: str | None) -> None:
    """A description that only looks like it is somebody else's."""
    assert mark_of({"description": description}) is None


def test_of_copies_the_oldest_is_ours() -> None:
    """A duplicate carries the mark, too; the one we made came first."""
    assert 3 == ours([found(CARD, 9), found(CARD, 3), found(CARD, 5)])["cost"]["id"]


def test_what_is_as_wanted_needs_no_step() -> None:
    """Also when Metabase, or a person, has written other things into it."""
    assert [] == plan_cards([CARD], [found(CARD, display="line", name="Renamed")])


def test_another_body_is_an_update() -> None:
    """The request replaces it, under the same id."""
    (step,) = plan_cards([CARD], [found(Wanted("cost", {**CARD.body, "display": "row"}))])
    assert ("updated", 7, "bar") == (step.verb, step.id, step.body["display"])
    assert CARD.marked_body == step.body


def test_what_is_missing_is_made_and_what_is_left_over_archived() -> None:
    """Foreign cards take no part in it."""
    old = Wanted("old", {"name": "Old", "description": ""})
    there = [found(old, 4), {"id": 5, "name": "Theirs", "description": None}]
    (made,) = plan_cards([CARD], there)
    assert ("created", None) == (made.verb, made.id)
    (left,) = plan_removal([CARD], there)
    assert ("archived", 4, {"archived": True}) == (left.verb, left.id, left.body)


def test_an_unfinished_dashboard_is_filled() -> None:
    """One that was made and never got its cards counts as changed."""
    board = Wanted("dashboard.x", {"name": "X", "description": "d", "dashcards": [], "parameters": []})
    there = {"id": 2, "description": marked("d", "dashboard.x"), "dashcards": [], "parameters": []}
    (step,) = plan_dashboards([board], [there], gone=frozenset())
    assert ("updated", 2) == (step.verb, step.id)


@pytest.mark.parametrize("dashboard", [name for name, _ in by_dashboard(list(QUESTIONS.values()))])
def test_cards_fill_the_grid_without_overlap(dashboard: str) -> None:
    """Every card of a dashboard has a place within 24 columns that no other has."""
    members = [question for question in QUESTIONS.values() if question.dashboard == dashboard]
    places = layout(members)
    assert [key for question in members for key in keys_of(question)] == [place.key for place in places]
    cells = [
        {
            (col, row)
            for col in range(place.col, place.col + place.width)
            for row in range(place.row, place.row + place.height)
        }
        for place in places
    ]
    assert all(not one & other for one, other in combinations(cells, 2))
    assert 24 == max(place.col + place.width for place in places)


def test_filters_reach_every_card() -> None:
    """From and to are tied to the variables of each card, and project where cards tell projects apart."""
    spanning = {name for name, question in QUESTIONS.items() if question.spans_projects}
    assert {"usage_windows", "usage_weeks"} <= spanning
    cards = wanted_cards(QUESTIONS.values(), database_id=1, collection_id=2)
    ids = {card.key: number for number, card in enumerate(cards, start=10)}
    assert len(ids) == len(cards)
    boards = wanted_dashboards(QUESTIONS.values(), ids, collection_id=3)
    for board in boards:
        filters = [each["id"] for each in board.body["parameters"]]
        assert ["claude-from", "claude-to", "claude-project"][: len(filters)] == filters
        for dashcard in board.body["dashcards"]:
            assert set(filters) >= {each["parameter_id"] for each in dashcard["parameter_mappings"]}
    (spend,) = (board for board in boards if board.name == "Spend")
    for dashcard in spend.body["dashcards"]:
        is_spanning = dashcard["card_id"] in {ids[name] for name in spanning}
        assert ["claude-from", "claude-to", *([] if is_spanning else ["claude-project"])] == [
            each["parameter_id"] for each in dashcard["parameter_mappings"]
        ]
    assert ids[PROJECT_LIST_KEY] == spend.body["parameters"][2]["values_source_config"]["card_id"]


def test_what_stands_elsewhere_does_not_move() -> None:
    """A foreign card beside ours keeps its place; a second place of one of our cards is the user's own."""
    size = {"size_x": 12, "size_y": 7}
    mine = {"row": 0, "col": 0, **size, "parameter_mappings": []}
    body = {"parameters": [], "dashcards": [{**mine, "card_id": 1}]}
    there = {
        "dashcards": [
            {"id": 30, "card_id": 1, "row": 0, "col": 0, **size},
            {"id": 31, "card_id": 1, "row": 9, "col": 0, **size},
            {"id": 32, "card_id": 8, "row": 0, "col": 12, **size, "series": [{"id": 4, "name": "x"}]},
            {"id": 33, "card_id": 99, "row": 0, "col": 12, **size},
        ]
    }
    after = merged(body, there, gone=frozenset({99}))["dashcards"]
    assert [(30, 0), (31, 9), (32, 0)] == [(each["id"], each["row"]) for each in after]
    assert [{"id": 4}] == after[2]["series"]


@pytest.mark.parametrize(
    ("name", "key", "expected"),
    [
        ("spend_over_time", "graph.dimensions", ["day", "model"]),
        ("spend_over_time", "graph.metrics", ["Spend"]),
        ("spend_over_time", "stackable.stack_type", "stacked"),
        ("tool_latency", "stackable.stack_type", None),
        ("tool_latency", "graph.metrics", ["95 of 100 calls within", "Half of the calls within"]),
        ("cache_hits", "stackable.stack_type", None),
        ("tools_used", "graph.x_axis.scale", "ordinal"),
    ],
)
def test_charts_are_set_up_from_the_question(name: str, key: str, expected: object) -> None:
    """Dimensions, figures and stacks are those that the report shows."""
    assert expected == settings(QUESTIONS[name])[key]


def test_figures_have_units_and_tones_their_colours() -> None:
    """Money is money, a share a percentage; what failed is red."""
    question: Question = QUESTIONS["tools_used"]
    looks = settings(question)
    assert "percent" == looks["column_settings"]['["name","Success rate"]']["number_style"]
    assert "#D5502F" == looks["series_settings"]["Failed"]["color"]
    money = settings(QUESTIONS["projects"])["column_settings"]
    assert "USD" == money['["name","Spend"]']["currency"]
    assert "Project" == money['["name","project"]']["column_title"]
