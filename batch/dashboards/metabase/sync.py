"""Brings Metabase to what it should be: database, collections, cards, dashboards; what is so already stays.

Killed half-way it is run again: each thing carries its mark from the request that makes it.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from batch.dashboards.metabase.cards import wanted_cards
from batch.dashboards.metabase.client import MetabaseClient
from batch.dashboards.metabase.dashboards import merged, wanted_dashboards
from batch.dashboards.metabase.managed_by import Wanted, marked, ours
from batch.dashboards.metabase.plan import Step, Verb, plan_cards, plan_dashboards, plan_removal
from batch.dashboards.questions import Question
from stream import sql
from stream.errors import MartsMissingError, MetabaseRefusedError

DATABASE_NAME = "Claude Analytics"
_COLLECTION = "collection"
_CARD_COLLECTION = "collection.questions"
_OTHER_OPTIONS = "different configuration"
_SAME_PATHS = (
    "let Metabase see the folders `serving` and `landing` of DATA_DIR under the same paths as here, readable "
    "for its user (in a container: mount them there)"
)
_RESTART = "it has the file open with other options: restart Metabase, then try again at once"


@dataclass(frozen=True)
class MartsSource:
    """What Metabase reads.

    Attributes:
        database: The published DuckDB file of views, absolute: Metabase finds it under the same path.
        memory_limit: That DuckDB may take inside Metabase.
        temp_directory: Where it spills to beyond that, inside Metabase's container: it may not write beside
            the file.
    """

    database: Path
    memory_limit: str
    temp_directory: str

    def details(self) -> dict[str, Any]:
        """Return the connection as the driver takes it; another one when the views are others.

        A DuckDB file that is open shows the views it was opened with: Metabase opens it again when the
        connection's details change. Whatever may change later is set by `init_sql`: within one process DuckDB
        refuses to open a file a second time with other options than before.

        Raises:
            MartsMissingError: Nothing has been published yet.
        """
        if not self.database.is_file():
            raise MartsMissingError(
                f"there is nothing to show: `{self.database}` is not there",
                hint="run `claude-analytics pipeline`, or `publish` if the marts are built; then try again",
            )
        script = self.database.with_name("views.sql")
        views = script.read_bytes() if script.is_file() else b""
        return {
            "database_file": str(self.database),
            "read_only": True,
            "init_sql": f"set memory_limit = {sql.literal(self.memory_limit)}; "
            f"set variable claude_analytics_views = '{hashlib.sha256(views).hexdigest()[:12]}'",
            "additional-options": f"temp_directory={self.temp_directory}",
        }


@dataclass(frozen=True)
class Change:
    """One thing that was changed.

    Attributes:
        verb: What happened to it.
        kind: What it is.
        name: Of it.
    """

    verb: Verb
    kind: str
    name: str


@dataclass(frozen=True)
class Synced:
    """What a run came to.

    Attributes:
        changes: In order; none if all was as it should be.
        unchanged: How many cards and dashboards were.
        dashboards: Name and address of each.
    """

    changes: Sequence[Change]
    unchanged: int
    dashboards: Sequence[tuple[str, str]]


class Sync:
    """One run, on a Metabase that we have signed in to."""

    def __init__(self, client: MetabaseClient) -> None:
        self._client = client
        self._changes: list[Change] = []

    def run(self, questions: Sequence[Question], source: MartsSource) -> Synced:
        """Make all as it should be.

        Raises:
            MartsMissingError: Nothing has been published yet.
            MetabaseUnreachableError, MetabaseRefusedError, MetabaseUnsuitableError: As the client says.
        """
        database_id = self._database(source.details())
        collection_id, card_collection_id = self._collections()
        cards = wanted_cards(questions, database_id=database_id, collection_id=card_collection_id)
        found_cards = self._client.get("/api/card", f="database", model_id=database_id)
        card_ids = {key: each["id"] for key, each in ours(found_cards).items()}
        for step in plan_cards(cards, found_cards):
            card_ids |= self._do(step, "card")
        removed = plan_removal(cards, found_cards)

        dashboards = wanted_dashboards(questions, card_ids, collection_id=collection_id)
        found_dashboards = self._dashboards(collection_id)
        dashboard_ids = {key: each["id"] for key, each in ours(found_dashboards).items()}
        gone = frozenset(step.id for step in removed if step.id is not None)
        for step in plan_dashboards(dashboards, found_dashboards, gone=gone):
            dashboard_ids |= self._do(step, "dashboard")
        for step in plan_removal(dashboards, found_dashboards):
            self._do(step, "dashboard")
        for step in removed:
            self._do(step, "card")
        written = sum(
            change.kind in {"card", "dashboard"} and change.verb != "archived" for change in self._changes
        )
        # Where a browser finds it; we may have come by an address that only containers know.
        site = str(self._client.get("/api/session/properties").get("site-url") or self._client.url).rstrip(
            "/"
        )
        return Synced(
            changes=tuple(self._changes),
            unchanged=len(cards) + len(dashboards) - written,
            dashboards=[(each.name, f"{site}/dashboard/{dashboard_ids[each.key]}") for each in dashboards],
        )

    def _database(self, details: Mapping[str, Any]) -> int:
        found = _ours_among(self._client.get("/api/database")["data"], details["database_file"])
        try:
            if found is None:
                # Only our own queries are asked: nothing is gained by scanning the values of every view.
                body = {"name": DATABASE_NAME, "engine": "duckdb", "is_full_sync": False}
                found = self._client.request(
                    "POST", "/api/database", {**body, "details": details, "auto_run_queries": True}
                )
                self._changes.append(Change("created", "database", DATABASE_NAME))
            elif any(found["details"].get(name) != value for name, value in details.items()):
                body = {"name": found["name"], "engine": "duckdb"}
                self._client.request(
                    "PUT",
                    f"/api/database/{found['id']}",
                    {**body, "details": {**found["details"], **details}},
                )
                self._changes.append(Change("updated", "database", found["name"]))
        except MetabaseRefusedError as error:
            raise MetabaseRefusedError(
                f"Metabase cannot open `{details['database_file']}`: {error.message}",
                hint=_RESTART if _OTHER_OPTIONS in error.message else _SAME_PATHS,
            ) from error
        database_id: int = found["id"]
        return database_id

    def _collections(self) -> tuple[int, int]:
        known = ours(each for each in self._client.get("/api/collection") if isinstance(each["id"], int))
        about = "What Claude Code costs, does and achieves; made from the questions of claude-analytics."
        parent = known.get(_COLLECTION) or self._new_collection(_COLLECTION, DATABASE_NAME, about)
        children = known.get(_CARD_COLLECTION) or self._new_collection(
            _CARD_COLLECTION, "Questions", "The charts of the dashboards.", parent_id=parent["id"]
        )
        return parent["id"], children["id"]

    def _new_collection(self, key: str, name: str, about: str, **parent: int) -> Mapping[str, Any]:
        body = {"name": name, "description": marked(about, key, "1"), **parent}
        made: Mapping[str, Any] = self._client.request("POST", "/api/collection", body)
        self._changes.append(Change("created", "collection", name))
        return made

    def _dashboards(self, collection_id: int) -> list[Mapping[str, Any]]:
        items = self._client.get(f"/api/collection/{collection_id}/items", models="dashboard")["data"]
        return [self._client.get(f"/api/dashboard/{item['id']}") for item in items]

    def _do(self, step: Step, kind: str) -> dict[str, int]:
        """Carry a step out; gives the id of what was made or written by its key."""
        path = f"/api/{kind}"
        if step.id is not None:
            self._client.request("PUT", f"{path}/{step.id}", step.body)
        made_id: int = step.id if step.id is not None else self._make(path, step)
        self._changes.append(Change(step.verb, kind, step.name))
        return {step.wanted.key: made_id} if step.wanted else {}

    def _make(self, path: str, step: Step) -> int:
        made = self._client.request("POST", path, step.body)
        made_id: int = made["id"]
        if step.wanted is not None and "dashcards" in step.wanted.body:
            self._fill(made_id, step.wanted)
        return made_id

    def _fill(self, dashboard_id: int, wanted: Wanted) -> None:
        """Return a new dashboard its cards: it cannot be made with them."""
        empty: Mapping[str, Any] = {"dashcards": [], "parameters": [], "tabs": []}
        body = merged(wanted.marked_body, empty, gone=frozenset())
        self._client.request("PUT", f"/api/dashboard/{dashboard_id}", body)


def _ours_among(databases: Iterable[Mapping[str, Any]], file: str) -> Mapping[str, Any] | None:
    """Find our database: by its file, whatever somebody calls it; else by its name, if the file has moved."""
    of_duckdb = [each for each in databases if each["engine"] == "duckdb"]
    by_file = (each for each in of_duckdb if each["details"].get("database_file") == file)
    by_name = (each for each in of_duckdb if each["name"] == DATABASE_NAME)
    return next(by_file, None) or next(by_name, None)
