"""`metabase sync` against a stand-in that is as strict as Metabase, on the published marts of the sample."""

import json
import os
import threading
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, HTTPServer
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from batch.cli.app import app
from batch.dashboards.metabase.access import Account, enter, wait_until_started
from batch.dashboards.metabase.cards import keys_of
from batch.dashboards.metabase.client import MetabaseClient
from batch.dashboards.metabase.sync import MartsSource, Sync, Synced
from batch.dashboards.questions import DASHBOARDS, Question, read_questions
from batch.publish.folder import ServingFolder
from batch.publish.publish import Publisher
from batch.shipped import questions
from stream.clock import utc_now
from stream.errors import (
    AnalyticsError,
    MartsMissingError,
    MetabaseRefusedError,
    MetabaseUnreachableError,
    MetabaseUnsuitableError,
    SettingsError,
)
from tests.support.marts import MartsWarehouse
from tests.support.metabase_server import Metabase, User, metabase_server

pytestmark = pytest.mark.integration
QUESTIONS = read_questions(questions())
# Those whose first figure is a sum.
ADDED_UP = [
    question
    for question in QUESTIONS
    if question.display != "heatmap"
    and question.measures[0].quantile is None
    and question.measures[0].per is None
]
MAY_BE_EMPTY = {question.title for question in QUESTIONS if question.may_be_empty}
ADMIN = Account("ana@example.org", "correct horse")
# One for all: DuckDB keeps to the options that a file was first opened with in a process.
SCRATCH = "/tmp/claude-analytics-tests"


def publish(marts: MartsWarehouse, folder: Path) -> Path:
    """Publish the marts into a folder, and give the file of views."""
    serving = ServingFolder(folder)
    Publisher(
        warehouse=marts.warehouse,
        serving=serving,
        landing=marts._landing,
        dbt_target_dir=marts.project.target_dir,
        timezone="UTC",
        keep=1,
        clock=utc_now,
    ).publish("build-0001", timeout_seconds=60)
    return serving.database


@pytest.fixture(scope="module")
def database(sample_marts: MartsWarehouse, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the file of views over the published marts of the sample."""
    return publish(sample_marts, tmp_path_factory.mktemp("data") / "serving")


@pytest.fixture
def server() -> Iterator[Metabase]:
    """Return a Metabase that nobody has set up."""
    with metabase_server() as metabase:
        yield metabase


@pytest.fixture(scope="module")
def filled(database: Path) -> Iterator[Metabase]:
    """Return a Metabase with everything in it; only to be asked."""
    with metabase_server() as metabase:
        sync(metabase, database)
        yield metabase


def source(database: Path, memory_limit: str = "256MB") -> MartsSource:
    """Return what Metabase reads."""
    return MartsSource(database, memory_limit, SCRATCH)


def sync(metabase: Metabase, database: Path, asked: Sequence[Question] = QUESTIONS) -> Synced:
    """Sign in and bring a Metabase to what it should be."""
    client = MetabaseClient(metabase.url)
    try:
        enter(client, ADMIN)
        return Sync(client).run(asked, source(database))
    finally:
        client.close()


def without(name: str) -> list[Question]:
    """Return all questions but one."""
    return [question for question in QUESTIONS if question.name != name]


def test_a_new_metabase_gets_everything(server: Metabase, database: Path) -> None:
    """Administrator, database, collections, a card for each figure, all dashboards; nothing is tracked."""
    synced = sync(server, database)
    assert {"ana@example.org": User("correct horse")} == server.users
    assert not server.is_tracking
    (made,) = server.databases.values()
    assert not made["is_full_sync"]
    details = made["details"]
    assert (str(database), True) == (details["database_file"], details["read_only"])
    assert [(f"{SCRATCH}", "244.1 MiB")] == server._pool(made["id"]).execute(
        "select current_setting('temp_directory'), current_setting('memory_limit')"
    ).fetchall()
    assert ["Claude Analytics", "Questions"] == [each["name"] for each in server.collections.values()]
    numbers = [question for question in QUESTIONS if question.display == "numbers"]
    figures = sum(len(question.measures) for question in numbers)
    assert len(QUESTIONS) - len(numbers) + figures + 1 == len(server.cards)
    shown = [each["name"] for each in server.dashboards.values()]
    assert [name for name in DASHBOARDS if name in shown] == shown
    assert {question.dashboard for question in QUESTIONS} == set(shown)
    placed = [each["card_id"] for board in server.dashboards.values() for each in board["dashcards"]]
    assert len(server.cards) - 1 == len(placed) == len(set(placed))
    assert 0 == synced.unchanged
    assert shown == [name for name, _ in synced.dashboards]


def test_a_second_run_changes_nothing(server: Metabase, database: Path) -> None:
    """Not one request that writes is sent when all is as it should be."""
    sync(server, database)
    server.writes.clear()
    synced = sync(server, database)
    assert [] == server.writes
    assert () == synced.changes
    assert len(server.cards) + len(server.dashboards) == synced.unchanged


def test_every_card_is_answered_by_the_published_file(filled: Metabase) -> None:
    """Each query runs as Metabase would run it, with no filter and with all, and gives what is drawn."""
    for card in filled.cards.values():
        columns, rows = filled.ask(card)
        settings = card["visualization_settings"]
        assert set(settings.get("graph.dimensions", []) + settings.get("graph.metrics", [])) <= set(columns)
        named = {json.loads(key)[1] for key in settings.get("column_settings", {})}
        assert named <= set(columns), card["name"]
        assert rows or card["name"] in MAY_BE_EMPTY
        tags = {tag["name"] for tag in card["dataset_query"]["stages"][0]["template-tags"]}
        chosen = {"from": "2026-10-05", "to": "2026-10-18", "project": "tideline"}
        assert columns == filled.ask(card, **{name: chosen[name] for name in tags})[0]
        if "from" in tags:
            nothing = filled.ask(card, **{"from": "2999-01-01"})[1]
            assert len(nothing) in {0, 1, 7}, card["name"]


def test_every_card_runs_with_any_choice_of_values(filled: Metabase) -> None:
    """Each combination of filters leaves SQL that DuckDB takes, with the same columns."""
    chosen = {"from": "2026-10-05", "to": "2026-10-18", "project": "tideline"}
    for card in filled.cards.values():
        tags = [tag["name"] for tag in card["dataset_query"]["stages"][0]["template-tags"]]
        columns = filled.ask(card)[0]
        for size in range(len(tags) + 1):
            for names in combinations(tags, size):
                found = filled.ask(card, **{name: chosen[name] for name in names})[0]
                assert columns == found, (card["name"], names)


@pytest.mark.parametrize("question", ADDED_UP, ids=[question.name for question in ADDED_UP])
def test_a_card_shows_the_figures_of_its_question(
    question: Question, filled: Metabase, sample_marts: MartsWarehouse
) -> None:
    """For chosen days and a project the first figure adds up to that of the question's own SQL."""
    measure = question.measures[0]
    values = {"from": "2026-10-05", "to": "2026-10-18"}
    where = "day between date '2026-10-05' and date '2026-10-18'"
    if "project" in question.columns:
        values["project"] = "tideline"
        where += " and project like '%/tideline'"
    expected = sample_marts.rows(question.answer(where=where))[0][0] or 0
    key = keys_of(question)[0]
    (card,) = (each for each in filled.cards.values() if f": {key} " in (each["description"] or ""))
    columns, rows = filled.ask(card, **values)
    place = columns.index(measure.label)
    assert float(expected) == pytest.approx(sum(float(row[place] or 0) for row in rows))


def test_the_heat_map_has_a_cell_for_each_hour(filled: Metabase, sample_marts: MartsWarehouse) -> None:
    """Seven days by 24 hours add up to all the time active."""
    columns, rows = filled.ask(filled.card("Hours of the week"))
    assert ["day", *map(str, range(24))] == columns
    assert ("Monday", "Sunday", 7) == (rows[0][0], rows[-1][0], len(rows))
    (expected,) = sample_marts.rows("select sum(active_seconds) / 3600.0 from marts.fct_active_hours")[0]
    assert float(expected) == pytest.approx(sum(sum(row[1:]) for row in rows))


def test_the_filter_offers_every_project(filled: Metabase, sample_marts: MartsWarehouse) -> None:
    """The filter's values come from a card, under the names that the charts show."""
    (projects,) = sample_marts.rows("select count(*) from marts.dim_projects")[0]
    filters = filled.dashboard("Spend")["parameters"]
    source = filters[-1]["values_source_config"]
    columns, rows = filled.ask(filled.cards[source["card_id"]])
    assert [source["value_field"][1]] == columns
    assert projects == len({name for (name,) in rows})


def test_an_edited_question_is_updated_in_place(server: Metabase, database: Path) -> None:
    """Another title keeps the card, its place and everything else."""
    sync(server, database)
    before = {card["name"]: card["id"] for card in server.cards.values()}
    places = [each["id"] for each in server.dashboard("Spend")["dashcards"]]
    server.writes.clear()
    edited = [
        each.model_copy(update={"title": "Money over time"}) if each.name == "spend_over_time" else each
        for each in QUESTIONS
    ]
    synced = sync(server, database, edited)
    assert [("PUT", f"/api/card/{before['Spend over time']}")] == server.writes
    assert before["Spend over time"] == server.card("Money over time")["id"]
    assert places == [each["id"] for each in server.dashboard("Spend")["dashcards"]]
    assert [("updated", "card", "Money over time")] == [
        (each.verb, each.kind, each.name) for each in synced.changes
    ]


def test_a_removed_question_is_archived_and_comes_back(server: Metabase, database: Path) -> None:
    """Its card leaves the dashboard and is archived; wanted again, there is a new one."""
    sync(server, database)
    old = server.card("Cache hits")["id"]
    sync(server, database, without("cache_hits"))
    assert server.cards[old]["archived"]
    assert old not in {each["card_id"] for each in server.dashboard("Spend")["dashcards"]}
    sync(server, database)
    assert old != server.card("Cache hits")["id"]


def test_a_dashboard_without_questions_is_archived(server: Metabase, database: Path) -> None:
    """When no question belongs to a dashboard any more, it goes, with its cards."""
    sync(server, database)
    left = [question for question in QUESTIONS if question.dashboard != "Spend"]
    sync(server, database, left)
    assert "Spend" not in {each["name"] for each in server.dashboards.values() if not each["archived"]}
    server.writes.clear()
    sync(server, database, left)
    assert [] == server.writes


def test_what_others_made_stays(server: Metabase, database: Path) -> None:
    """Foreign cards, texts, filters and ties survive an update; what stood in our way moves below."""
    sync(server, database)
    spend = server.dashboard("Spend")
    theirs = server.add_card(**{**server.card("Cache hits"), "name": "My own", "description": "mine"})
    text = {"text": "Budget: 100"}
    on_ours = server.add_dashcard(
        spend["id"], row=0, col=0, size_x=12, size_y=4, card_id=theirs, visualization_settings={}
    )
    below = server.add_dashcard(spend["id"], row=4, col=0, size_x=12, size_y=2, visualization_settings=text)
    team = {"id": "team", "name": "Team", "slug": "team", "type": "string/=", "sectionId": "string"}
    spend["parameters"].append(team)
    card_id = server.card("Cache hits")["id"]
    (tied,) = (each for each in spend["dashcards"] if each["card_id"] == card_id)
    tie = {
        "parameter_id": "team",
        "card_id": card_id,
        "target": ["variable", ["template-tag", "project"]],
    }
    tied["parameter_mappings"].append(tie)

    sync(server, database, without("cache_savings"))
    after = {each["id"]: each for each in server.dashboard("Spend")["dashcards"]}
    assert not server.cards[theirs]["archived"]
    assert "My own" == server.cards[theirs]["name"]
    bottom = max(
        each["row"] + each["size_y"] for each in after.values() if each["id"] not in {on_ours, below}
    )
    assert (bottom, bottom + 4) == (after[on_ours]["row"], after[below]["row"])
    assert text == after[below]["visualization_settings"]
    assert "team" in {each["id"] for each in server.dashboard("Spend")["parameters"]}
    assert tie in after[tied["id"]]["parameter_mappings"]
    server.writes.clear()
    sync(server, database, without("cache_savings"))
    assert [] == server.writes


def test_a_copy_of_our_card_is_not_ours(server: Metabase, database: Path) -> None:
    """Whoever duplicates a card, mark and all, keeps the copy when the question changes or goes."""
    sync(server, database)
    copied = server.add_card(**{**server.card("Cache hits"), "name": "Cache hits (copy)"})
    sync(server, database, without("cache_hits"))
    assert not server.cards[copied]["archived"]


def test_what_was_changed_by_hand_stays_until_the_question_changes(server: Metabase, database: Path) -> None:
    """A colour chosen in Metabase survives a run, a moved card too; a card taken off comes back."""
    sync(server, database)
    card = server.card("Cache hits")
    card["visualization_settings"] = {"graph.show_goal": True}
    first = server.dashboard("Spend")["dashcards"][0]
    first["row"] = 90
    sync(server, database)
    assert {"graph.show_goal": True} == server.card("Cache hits")["visualization_settings"]
    assert 90 == server.dashboard("Spend")["dashcards"][0]["row"]
    spend = server.dashboard("Spend")
    spend["dashcards"] = [each for each in spend["dashcards"] if each["card_id"] != card["id"]]
    sync(server, database)
    assert card["id"] in {each["card_id"] for each in server.dashboard("Spend")["dashcards"]}


def test_a_dashboard_with_tabs_keeps_them(server: Metabase, database: Path) -> None:
    """Ours stand on the first tab; the second stays as its maker left it."""
    sync(server, database)
    spend = server.dashboard("Spend")
    spend["tabs"] = [{"id": 71, "name": "Ours", "position": 0}, {"id": 72, "name": "Theirs", "position": 1}]
    for each in spend["dashcards"]:
        each["dashboard_tab_id"] = 71
    theirs = server.add_dashcard(spend["id"], row=0, col=0, size_x=12, size_y=4, dashboard_tab_id=72)
    sync(server, database, without("cache_hits"))
    after = server.dashboard("Spend")
    assert [71, 72] == [each["id"] for each in after["tabs"]]
    (left,) = (each for each in after["dashcards"] if each["dashboard_tab_id"] == 72)
    assert (theirs, 0) == (left["id"], left["row"])


def test_a_run_that_broke_off_is_finished_by_the_next(server: Metabase, database: Path) -> None:
    """Cards are there and dashboards are not: the next run makes the rest, and nothing twice."""
    server.broken = "/api/dashboard"
    with pytest.raises(MetabaseUnreachableError, match="no space left on device"):
        sync(server, database)
    cards = len(server.cards)
    server.broken = None
    client = MetabaseClient(server.url)
    enter(client, ADMIN)
    # As if killed between making a dashboard and filling it.
    collection = min(server.collections)
    client.request(
        "POST",
        "/api/dashboard",
        {
            "name": "Spend",
            "description": "x\n\nKept by claude-analytics: dashboard.spend unfinished",
            "collection_id": collection,
        },
    )
    client.close()
    sync(server, database)
    assert cards == len(server.cards)
    assert server.dashboard("Spend")["dashcards"]


def test_new_views_make_metabase_open_the_file_anew(server: Metabase, database: Path, tmp_path: Path) -> None:
    """When the set of views is another, the connection's details change; so does another memory limit."""
    copy = tmp_path / "analytics.duckdb"
    copy.write_bytes(database.read_bytes())
    (tmp_path / "views.sql").write_text("create view a as select 1", encoding="utf-8")
    sync(server, copy)
    server.writes.clear()
    (tmp_path / "views.sql").write_text("create view a as select 2", encoding="utf-8")
    synced = sync(server, copy)
    (database_id,) = server.databases
    assert [("PUT", f"/api/database/{database_id}")] == server.writes
    assert [("updated", "database")] == [(each.verb, each.kind) for each in synced.changes]


def test_another_memory_limit_needs_no_restart(server: Metabase, database: Path) -> None:
    """It is no option of the open file, which DuckDB would refuse to change, but a statement on it."""
    sync(server, database)
    client = MetabaseClient(server.url)
    enter(client, ADMIN)
    synced = Sync(client).run(QUESTIONS, source(database, "512MB"))
    client.close()
    assert [("updated", "database")] == [(each.verb, each.kind) for each in synced.changes]
    (pool,) = server._pools.values()
    assert [("488.2 MiB",)] == pool.execute("select current_setting('memory_limit')").fetchall()


def test_a_database_of_an_older_version_is_taken_over(
    server: Metabase, database: Path, tmp_path: Path
) -> None:
    """Its file was opened with other options; Metabase has to be restarted once, and the message says so."""
    copy = tmp_path / "analytics.duckdb"
    copy.write_bytes(database.read_bytes())
    sync(server, copy)
    server.restart()
    (made,) = server.databases.values()
    made["details"] = {
        "database_file": str(copy),
        "read_only": True,
        "memory_limit": "256MB",
        "init_sql": "set variable claude_analytics_views = 'x'",
    }
    server._pool(made["id"])
    with pytest.raises(MetabaseRefusedError, match="different configuration") as caught:
        sync(server, copy)
    assert "restart Metabase" in caught.value.hint
    server.restart()
    assert ["database"] == [each.kind for each in sync(server, copy).changes]
    assert 1 == len(server.databases)


def test_a_renamed_database_is_recognised_by_its_file(server: Metabase, database: Path) -> None:
    """No card is made twice, and the name that somebody gave it stays, also when it has to be updated."""
    sync(server, database)
    cards = len(server.cards)
    (made,) = server.databases.values()
    made["name"] = "Team's logs"
    assert () == sync(server, database).changes
    made["details"] = {**made["details"], "init_sql": "set variable claude_analytics_views = 'x'"}
    assert ["Team's logs"] == [each.name for each in sync(server, database).changes]
    assert ("Team's logs", 1, cards) == (made["name"], len(server.databases), len(server.cards))


def test_addresses_are_those_that_a_browser_opens(server: Metabase, database: Path) -> None:
    """Where Metabase knows its site's address, it counts: ours may be one that only containers know."""
    assert all(address.startswith(server.url) for _, address in sync(server, database).dashboards)
    server.site_url = "https://metabase.example.org/"
    assert all(
        address.startswith("https://metabase.example.org/dashboard/")
        for _, address in sync(server, database).dashboards
    )


def test_an_account_that_is_no_administrator_is_refused(server: Metabase, database: Path) -> None:
    """It could neither see nor make the database; nothing is tried with it."""
    sync(server, database)
    server.users["eve@example.org"] = User("secret1", is_superuser=False)
    server.writes.clear()
    error = refusal(server, Account("eve@example.org", "secret1"))
    assert isinstance(error, MetabaseRefusedError)
    assert "`eve@example.org` is not of the group Administrators" in error.message
    assert [] == server.writes


def test_an_account_with_a_second_factor_is_refused(server: Metabase) -> None:
    """Nobody is there to show it; a key does without."""
    server.users = {"ana@example.org": User("correct horse", has_second_factor=True)}
    error = refusal(server)
    assert isinstance(error, MetabaseRefusedError)
    assert "second factor" in error.message
    assert "METABASE_API_KEY" in error.hint


def test_a_second_set_up_is_refused(server: Metabase, database: Path) -> None:
    """Whoever was quicker is the administrator."""
    sync(server, database)
    client = MetabaseClient(server.url)
    with pytest.raises(MetabaseRefusedError, match="does not match the setup token"):
        client.request(
            "POST",
            "/api/setup",
            {
                "token": "5b7c2a11-token",
                "user": {"email": "eve@example.org", "password": "secret1"},
                "prefs": {"site_name": "x"},
            },
        )
    client.close()


def test_an_api_key_does_without_a_password(server: Metabase, database: Path) -> None:
    """On a Metabase that is set up, a key of the administrators is enough."""
    server.users, server.api_key, server.is_tracking = {"boss@example.org": User("secret1")}, "mb_key", False
    client = MetabaseClient(server.url)
    assert not enter(client, Account(api_key="mb_key"))
    Sync(client).run(QUESTIONS, source(database))
    client.close()
    assert server.dashboards


def refusal(metabase: Metabase, account: Account = ADMIN) -> AnalyticsError:
    """Try to enter, and give the error."""
    client = MetabaseClient(metabase.url)
    try:
        with pytest.raises(AnalyticsError) as caught:
            enter(client, account)
        return caught.value
    finally:
        client.close()


def test_a_wrong_password_is_told(server: Metabase) -> None:
    """Set up by somebody else: the message says who cannot sign in, and never with what."""
    server.users = {"boss@example.org": User("secret1")}
    error = refusal(server)
    assert isinstance(error, MetabaseRefusedError)
    assert 2 == error.exit_code
    assert "`ana@example.org` cannot sign in" in error.message
    assert "did not match stored password" in error.message
    assert "METABASE_API_KEY" in error.hint
    assert "correct horse" not in error.message + error.hint


def test_a_wrong_key_is_told(server: Metabase) -> None:
    """A key that Metabase does not know is refused with the group that it must be of."""
    server.users = {"boss@example.org": User("secret1")}
    error = refusal(server, Account(api_key="mb_wrong"))
    assert isinstance(error, MetabaseRefusedError)
    assert "Unauthenticated" in error.message
    assert "Administrators" in error.hint
    assert "mb_wrong" not in error.message + error.hint


@pytest.mark.parametrize(
    ("users", "why"),
    [({}, "has no administrator yet"), ({"boss@example.org": User("secret1")}, "asks who you are")],
)
def test_a_missing_account_is_told(server: Metabase, users: dict[str, User], why: str) -> None:
    """Without user and password nobody can be made, or signed in."""
    server.users = users
    error = refusal(server, Account(user="ana@example.org"))
    assert isinstance(error, SettingsError)
    assert why in error.message
    assert "METABASE_PASSWORD" in error.hint


def test_a_password_that_metabase_does_not_take_is_told(server: Metabase) -> None:
    """Its own reason is in the message, and what a password needs in the hint."""
    error = refusal(server, Account("ana@example.org", "short"))
    assert isinstance(error, MetabaseRefusedError)
    assert "does not make the administrator `ana@example.org`" in error.message
    assert "user.password" in error.message
    assert "six characters" in error.hint


def test_an_older_metabase_is_told(server: Metabase) -> None:
    """Below 0.63 nothing is tried."""
    server.version = "v0.58.9"
    error = refusal(server)
    assert isinstance(error, MetabaseUnsuitableError)
    assert "v0.58.9: too old" in error.message
    assert "deploy/metabase" in error.hint
    assert {} == server.users


@pytest.mark.parametrize("version", ["v0.63.0", "v1.64.2", "v0.70.1", "vUNKNOWN"])
def test_these_versions_are_new_enough(server: Metabase, version: str) -> None:
    """Both editions, later ones, and builds without a number."""
    server.version = version
    client = MetabaseClient(server.url)
    assert enter(client, ADMIN)
    client.close()


def test_a_metabase_without_the_driver_is_told(server: Metabase) -> None:
    """The official image lacks it."""
    server.engines = ["postgres"]
    error = refusal(server)
    assert isinstance(error, MetabaseUnsuitableError)
    assert "no DuckDB driver" in error.message
    assert "plugins" in error.hint


def test_a_file_that_metabase_cannot_open_is_told(server: Metabase, tmp_path: Path) -> None:
    """The driver's reason is in the message, and what it must see in the hint."""
    broken = tmp_path / "analytics.duckdb"
    broken.write_text("no database " * 1000, encoding="utf-8")
    with pytest.raises(MetabaseRefusedError, match="Metabase cannot open") as caught:
        sync(server, broken)
    assert "not a valid DuckDB database file" in caught.value.message
    assert "under the same paths" in caught.value.hint


def test_nothing_published_is_told(server: Metabase, tmp_path: Path) -> None:
    """Before the first publish there is nothing to show."""
    with pytest.raises(MartsMissingError, match="there is nothing to show") as caught:
        sync(server, tmp_path / "analytics.duckdb")
    assert "pipeline" in caught.value.hint


def test_a_refused_request_is_told(server: Metabase) -> None:
    """A body that Metabase does not take: what it minds is in the message."""
    client = MetabaseClient(server.url)
    enter(client, ADMIN)
    with pytest.raises(
        MetabaseRefusedError, match=r"`POST /api/collection` .* colour: Extra inputs"
    ) as caught:
        client.request("POST", "/api/collection", {"name": "x", "colour": "red"})
    client.close()
    assert "newer" in caught.value.hint


def test_it_waits_until_metabase_has_started(server: Metabase) -> None:
    """While it is starting nothing is asked of it."""
    server.starting = 3
    waited: list[float] = []
    client = MetabaseClient(server.url)
    wait_until_started(client, wait_seconds=60, clock=lambda: 0.0, sleep=waited.append)
    client.close()
    assert 3 == len(waited)


def test_a_metabase_that_never_starts_is_told(server: Metabase) -> None:
    """After the time that is set the command gives up, and trying again may help."""
    server.starting = 1000
    ticks = iter(range(1000))
    client = MetabaseClient(server.url)
    with pytest.raises(MetabaseUnreachableError, match="has not started within 5 s") as caught:
        wait_until_started(client, wait_seconds=5, clock=lambda: float(next(ticks)), sleep=lambda _: None)
    client.close()
    assert 1 == caught.value.exit_code
    assert "METABASE_WAIT_SECONDS" in caught.value.hint


def test_a_refused_connection_is_told() -> None:
    """Nothing listens there: address and cause are named."""
    with metabase_server() as gone:
        url = gone.url
    client = MetabaseClient(url)
    with pytest.raises(MetabaseUnreachableError, match="Connection refused") as caught:
        wait_until_started(client, wait_seconds=0)
    client.close()
    assert url in caught.value.message
    assert "METABASE_URL" in caught.value.hint


class Other(BaseHTTPRequestHandler):
    """A server that is no Metabase: it answers anything under /api with a page, and nothing else."""

    def do_GET(self) -> None:
        """Answer with a page."""
        is_found = self.path != "/api/card"
        self.send_response(200 if is_found else 404)
        self.end_headers()
        self.wfile.write(b"<html>hello</html>")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as it is called
        """Say nothing."""


@pytest.mark.parametrize(
    ("path", "reason"),
    [("/api/session/properties", "not as a Metabase does"), ("/api/card", "does not exist there")],
)
def test_a_server_that_is_no_metabase_is_told(path: str, reason: str) -> None:
    """Whatever else answers under the address is recognised as something else."""
    other = HTTPServer(("127.0.0.1", 0), Other)
    thread = threading.Thread(target=other.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    client = MetabaseClient(f"http://127.0.0.1:{other.server_address[1]}")
    try:
        with pytest.raises(MetabaseUnsuitableError, match=reason) as caught:
            client.get(path)
    finally:
        client.close()
        other.shutdown()
        thread.join()
        other.server_close()
    assert "METABASE_URL" in caught.value.hint


def environment(metabase: Metabase, data: Path) -> dict[str, str]:
    """Return the settings that a user would set."""
    return {
        "METABASE_URL": metabase.url,
        "METABASE_USER": "ana@example.org",
        "METABASE_PASSWORD": "correct horse",
        "METABASE_DUCKDB_TEMP_DIRECTORY": SCRATCH,
        "DATA_DIR": str(data),
        "LOG_LEVEL": "warning",
    }


def test_the_command_tells_what_it_did(server: Metabase, database: Path, clean_environment: Path) -> None:
    """First everything is created, then nothing is changed; the addresses of the dashboards are printed."""
    settings = environment(server, database.parents[1])
    first = CliRunner().invoke(app, ["metabase", "sync"], env=settings)
    assert 0 == first.exit_code, first.output
    assert "administrator ana@example.org created" in first.output
    assert f"cards created: {len(server.cards)}" in first.output
    assert f"{server.url}/dashboard/{server.dashboard('Spend')['id']}" in first.output
    second = CliRunner().invoke(app, ["metabase", "sync"], env=settings)
    assert second.output.startswith("unchanged\n")
    one = CliRunner().invoke(
        app, ["metabase", "sync"], env=settings | {"METABASE_DUCKDB_MEMORY_LIMIT": "2GB"}
    )
    assert one.output.startswith("database updated: Claude Analytics\n")
    for ran in (first, second, one):
        assert "correct horse" not in ran.output


def test_secrets_are_masked(clean_environment: Path) -> None:
    """`config` shows neither password nor key."""
    secrets = {"METABASE_PASSWORD": "correct horse", "METABASE_API_KEY": "mb_secret"}
    ran = CliRunner().invoke(app, ["config"], env=secrets)
    assert "METABASE_PASSWORD" in ran.output
    assert "correct horse" not in ran.output
    assert "mb_secret" not in ran.output


def test_an_address_without_a_scheme_is_refused(clean_environment: Path) -> None:
    """METABASE_URL must be one that HTTP can be spoken with."""
    ran = CliRunner().invoke(app, ["metabase", "sync"], env={"METABASE_URL": "localhost:3000"})
    assert isinstance(ran.exception, SettingsError)
    assert "must begin with https:// or http://" in ran.exception.message


REAL = "CLAUDE_ANALYTICS_TEST_METABASE"


@pytest.mark.skipif(f"{REAL}_URL" not in os.environ, reason=f"{REAL}_URL names no Metabase to test with")
def test_a_real_metabase(sample_marts: MartsWarehouse) -> None:
    """Everything is made there, stays unchanged, and every card is answered.

    Needs, beside the address, `…_USER` and `…_PASSWORD` of an administrator (or of the one to be made), and
    `…_FOLDER`, a folder that Metabase sees under the same path.
    """
    url = os.environ[f"{REAL}_URL"]
    client = MetabaseClient(url)
    wait_until_started(client, wait_seconds=300)
    enter(client, Account(os.environ[f"{REAL}_USER"], os.environ[f"{REAL}_PASSWORD"]))
    known = client.get("/api/docs/openapi.json")["paths"]
    for method, path in (
        ("post", "/api/card"),
        ("put", "/api/card/{id}"),
        ("post", "/api/collection"),
        ("post", "/api/dashboard"),
        ("put", "/api/dashboard/{id}"),
        ("post", "/api/database"),
        ("put", "/api/database/{id}"),
        ("get", "/api/collection/{id}/items"),
    ):
        operations: dict[str, Any] = known.get(path) or known.get(f"{path}/") or {}
        assert method in operations, path
    folder = Path(os.environ[f"{REAL}_FOLDER"])
    published = source(publish(sample_marts, folder / "serving"))
    first = Sync(client).run(QUESTIONS, published)
    second = Sync(client).run(QUESTIONS, published)
    assert () == second.changes
    for _, address in first.dashboards:
        board = client.get(f"/api/dashboard/{address.rpartition('/')[2]}")
        for each in board["dashcards"]:
            answer = client.request("POST", f"/api/card/{each['card_id']}/query", {})
            assert "completed" == answer["status"], answer
    client.close()
