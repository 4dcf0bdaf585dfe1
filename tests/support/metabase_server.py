"""A stand-in for Metabase: as strict with requests, and as forgetful of their form.

It answers on a real socket. Queries come back in another form than they were sent, responses have keys that
requests may not have, a PUT replaces the whole list of cards, and the first account can be made only once.
Who is no administrator sees databases without their details, and may make none. As in Metabase's one process,
DuckDB files stay open, so DuckDB itself refuses other options for a file that is in use.
"""

import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from typing import Any
from urllib.parse import parse_qs, urlsplit

import duckdb
from pydantic import ValidationError

from tests.support import metabase_shapes as shapes
from tests.support.metabase_templates import TemplateError, substituted, variables

_OPEN = {"/api/health", "/api/session/properties", "/api/setup", "/api/session"}
_TOKEN = "5b7c2a11-token"  # noqa: S105 - of a server that holds nothing


@dataclass
class User:
    """An account.

    Attributes:
        password: That signs it in.
        is_superuser: Whether it is of the group Administrators.
        has_second_factor: Whether the password alone does not do.
    """

    password: str
    is_superuser: bool = True
    has_second_factor: bool = False


class Refused(Exception):  # noqa: N818 - an answer, not an error of ours
    """An answer other than 200."""

    def __init__(self, status: int, body: Any) -> None:
        super().__init__(status, body)
        self.status, self.body = status, body


class Metabase:
    """What a server holds.

    Attributes:
        url: Its address.
        version: That it says it has.
        engines: Drivers it has.
        starting: How often it still answers that it is starting.
        broken: Path that fails with 500.
        site_url: Where people find it; none is set on a new one.
        api_key: That it takes, of the group Administrators.
        users: By e-mail address; the first is made by the set-up.
        writes: Method and path of each request that was to change something, in order.
        cards: By id, as stored; so are dashboards, collections, databases.
    """

    def __init__(self) -> None:
        self.url = ""
        self.version = "v0.63.2"
        self.engines = ["duckdb", "postgres"]
        self.starting = 0
        self.broken: str | None = None
        self.site_url: str | None = None
        self.api_key: str | None = None
        self.users: dict[str, User] = {}
        self.is_tracking = True
        self.sessions: dict[str, User] = {}
        self.writes: list[tuple[str, str]] = []
        self.databases: dict[int, dict[str, Any]] = {}
        self.collections: dict[int, dict[str, Any]] = {}
        self.cards: dict[int, dict[str, Any]] = {}
        self.dashboards: dict[int, dict[str, Any]] = {}
        self._ids = count(1)
        self._pools: dict[int, duckdb.DuckDBPyConnection] = {}

    def restart(self) -> None:
        """Close what is open, as the end of the process does."""
        for connection in self._pools.values():
            connection.close()
        self._pools.clear()

    def answer(self, method: str, path: str, query: dict[str, str], headers: Any, body: Any) -> Any:
        """Answer a request.

        Raises:
            Refused: With another status than 200.
        """
        if path == self.broken:
            raise Refused(500, {"message": "no space left on device"})
        user = self._user_of(headers)
        if path not in _OPEN and user is None:
            raise Refused(401, "Unauthenticated")
        if user is not None and not user.is_superuser and _needs_superuser(method, path):
            raise Refused(403, "You don't have permissions to do that.")
        if path == "/api/user/current":
            return {"id": 1, "is_superuser": user is not None and user.is_superuser}
        if path == "/api/database" and method == "GET":
            return self._list_databases(with_details=user is not None and user.is_superuser)
        if method != "GET" and path not in {"/api/session", "/api/setup"}:
            self.writes.append((method, path))
        for pattern, handle in self._routes(method):
            match = re.fullmatch(pattern, path)
            if match:
                return handle(*map(int, match.groups()), *([body] if method != "GET" else [query]))
        raise Refused(404, "API endpoint does not exist.")

    def add_card(self, **fields: Any) -> int:
        """Make a card as some other user would."""
        card_id = next(self._ids)
        self.cards[card_id] = {"description": None, "archived": False, **fields, "id": card_id}
        return card_id

    def add_dashcard(self, dashboard_id: int, **fields: Any) -> int:
        """Put something on a dashboard as some other user would."""
        dashcard_id = next(self._ids)
        added = {"id": dashcard_id, "card_id": None, "dashboard_tab_id": None, **fields}
        self.dashboards[dashboard_id]["dashcards"].append(_dressed(added))
        return dashcard_id

    def dashboard(self, name: str) -> dict[str, Any]:
        """Return the one dashboard of a name."""
        (found,) = (
            each for each in self.dashboards.values() if each["name"] == name and not each["archived"]
        )
        return found

    def card(self, name: str) -> dict[str, Any]:
        """Return the one card of a name."""
        (found,) = (each for each in self.cards.values() if each["name"] == name and not each["archived"])
        return found

    def ask(self, card: dict[str, Any], **values: str) -> tuple[list[str], list[tuple[Any, ...]]]:
        """Answer a card as a dashboard would: values for its variables, and parts without value left out."""
        query = card["dataset_query"]
        stage = query["stages"][0]
        kinds = {tag["name"]: tag["type"] for tag in stage["template-tags"]}
        text, bound = substituted(stage["native"], kinds, values)
        found = self._pool(query["database"]).cursor().execute(text, bound)
        return [column[0] for column in found.description or ()], found.fetchall()

    def _pool(self, database_id: int) -> duckdb.DuckDBPyConnection:
        if database_id not in self._pools:
            self._pools[database_id] = _connect(self.databases[database_id]["details"])
        return self._pools[database_id]

    def _list_databases(self, *, with_details: bool) -> Any:
        shown = [
            {name: value for name, value in each.items() if with_details or name != "details"}
            for each in self.databases.values()
        ]
        return {"data": shown, "total": len(shown)}

    def _routes(self, method: str) -> list[tuple[str, Callable[..., Any]]]:
        return {
            "GET": [
                ("/api/health", self._health),
                ("/api/session/properties", self._properties),
                (
                    "/api/collection",
                    lambda _query: [{"id": "root", "name": "Our analytics"}, *self._active()],
                ),
                (r"/api/collection/(\d+)/items", self._items),
                ("/api/card", self._list_cards),
                (r"/api/dashboard/(\d+)", lambda found, _query: _of(self.dashboards, found)),
            ],
            "POST": [
                ("/api/setup", self._set_up),
                ("/api/session", self._sign_in),
                ("/api/database", self._make_database),
                ("/api/collection", self._make_collection),
                ("/api/card", self._make_card),
                ("/api/dashboard", self._make_dashboard),
            ],
            "PUT": [
                ("/api/setting/anon-tracking-enabled", self._set_tracking),
                (r"/api/database/(\d+)", self._change_database),
                (r"/api/card/(\d+)", self._change_card),
                (r"/api/dashboard/(\d+)", self._change_dashboard),
            ],
        }.get(method, [])

    def _user_of(self, headers: Any) -> User | None:
        if self.api_key is not None and headers.get("X-API-Key") == self.api_key:
            return User("")
        return self.sessions.get(headers.get("X-Metabase-Session"))

    def _health(self, _query: Any) -> Any:
        if self.starting:
            self.starting -= 1
            raise Refused(503, {"status": "initializing", "progress": 0.5})
        return {"status": "ok"}

    def _properties(self, _query: Any) -> Any:
        return {
            "version": {"tag": self.version, "hash": "0"},
            "has-user-setup": bool(self.users),
            "setup-token": None if self.users else _TOKEN,
            "site-url": self.site_url,
            "engines": {engine: {"driver-name": engine} for engine in self.engines},
            "anon-tracking-enabled": self.is_tracking,
        }

    def _set_up(self, body: Any) -> Any:
        setup = _read(shapes.Setup, body)
        if self.users or setup.token != _TOKEN:
            # Once somebody is set up there is no token that could match.
            raise Refused(400, {"errors": {"token": "Token does not match the setup token."}})
        self.users[setup.user.email], self.is_tracking = User(setup.user.password), True
        return self._new_session(self.users[setup.user.email])

    def _sign_in(self, body: Any) -> Any:
        told = _read(shapes.SignIn, body)
        user = self.users.get(told.username)
        if user is None or user.password != told.password:
            raise Refused(401, {"errors": {"password": "did not match stored password"}})
        return {"mfa_required": True} if user.has_second_factor else self._new_session(user)

    def _new_session(self, user: User) -> Any:
        session = f"session-{next(self._ids)}"
        self.sessions[session] = user
        return {"id": session}

    def _set_tracking(self, body: Any) -> None:
        self.is_tracking = _read(shapes.Setting, body).value

    def _make_database(self, body: Any) -> Any:
        told = _read(shapes.NewDatabase, body).told()
        _connect(told["details"]).close()
        database_id = next(self._ids)
        self.databases[database_id] = {"id": database_id, "features": ["basic-aggregations"], **told}
        self._pool(database_id)
        return self.databases[database_id]

    def _change_database(self, database_id: int, body: Any) -> Any:
        told = _read(shapes.ChangedDatabase, body).told()
        if "details" in told:
            _connect(told["details"]).close()
            if database_id in self._pools:
                self._pools.pop(database_id).close()
        database = _of(self.databases, database_id)
        database |= told
        self._pool(database_id)
        return database

    def _active(self) -> list[dict[str, Any]]:
        return [each for each in self.collections.values() if not each["archived"]]

    def _make_collection(self, body: Any) -> Any:
        told = _read(shapes.NewCollection, body).told()
        if "parent_id" in told:
            _of(self.collections, told["parent_id"])
        collection_id = next(self._ids)
        made = {"id": collection_id, "archived": False, "location": "/", "slug": "x", **told}
        self.collections[collection_id] = made
        return made

    def _items(self, collection_id: int, query: Any) -> Any:
        _of(self.collections, collection_id)
        if query != {"models": "dashboard"}:
            raise Refused(400, {"errors": {"models": "not one that we ask for"}})
        members = [
            {"id": each["id"], "name": each["name"], "model": "dashboard"}
            for each in self.dashboards.values()
            if each["collection_id"] == collection_id and not each["archived"]
        ]
        return {"data": members, "total": len(members)}

    def _list_cards(self, query: Any) -> Any:
        if query.get("f") != "database":
            raise Refused(400, {"errors": {"f": "not one that we ask for"}})
        database_id = int(query["model_id"])
        return [
            each
            for each in self.cards.values()
            if not each["archived"] and each["dataset_query"]["database"] == database_id
        ]

    def _make_card(self, body: Any) -> Any:
        told = _read(shapes.NewCard, body).told()
        return self.cards[self.add_card(**self._stored_card(told))]

    def _change_card(self, card_id: int, body: Any) -> Any:
        card = _of(self.cards, card_id)
        card |= self._stored_card(_read(shapes.ChangedCard, body).told())
        return card

    def _stored_card(self, told: dict[str, Any]) -> dict[str, Any]:
        if "collection_id" in told:
            _of(self.collections, told["collection_id"])
        query = told.get("dataset_query")
        if query is None:
            return told
        _of(self.databases, query["database"])
        tags = query["native"]["template-tags"]
        try:
            named = variables(query["native"]["query"])
        except TemplateError as error:
            raise Refused(400, {"errors": {"dataset_query": str(error)}}) from None
        if named != set(tags):
            raise Refused(400, {"errors": {"dataset_query": "variables and template tags differ"}})
        # As Metabase has given queries back since 0.57: in another form than it takes.
        stage = {
            "lib/type": "mbql.stage/native",
            "native": query["native"]["query"],
            "template-tags": [*tags.values()],
        }
        stored = {"lib/type": "mbql/query", "database": query["database"], "stages": [stage]}
        return {**told, "dataset_query": stored, "result_metadata": None, "creator": {"id": 1}}

    def _make_dashboard(self, body: Any) -> Any:
        told = _read(shapes.NewDashboard, body).told()
        _of(self.collections, told["collection_id"])
        dashboard_id = next(self._ids)
        made = {"id": dashboard_id, "archived": False, "dashcards": [], "tabs": [], "parameters": [], **told}
        self.dashboards[dashboard_id] = made
        return made

    def _change_dashboard(self, dashboard_id: int, body: Any) -> Any:
        dashboard = _of(self.dashboards, dashboard_id)
        told = _read(shapes.ChangedDashboard, body).told()
        if "dashcards" in told:
            told["tabs"] = told.get("tabs") or []
            told["dashcards"] = self._stored_dashcards(dashboard, told)
        dashboard |= told
        return dashboard

    def _stored_dashcards(self, dashboard: dict[str, Any], told: dict[str, Any]) -> list[dict[str, Any]]:
        present = {each["id"] for each in dashboard["dashcards"]}
        ids = [each["id"] for each in told["dashcards"]]
        if len(ids) != len(set(ids)):
            raise Refused(400, {"errors": {"dashcards": "value must be seq of maps with unique id"}})
        stored = []
        for each in told["dashcards"]:
            card = _of(self.cards, each["card_id"]) if each.get("card_id") else None
            if card is not None and card["archived"]:
                raise Refused(404, "The object has been archived.")
            if told["tabs"] and each.get("dashboard_tab_id") is None:
                raise Refused(400, "This dashboard has tab, makes sure every card has a tab")
            if each["id"] > 0 and each["id"] not in present:
                raise Refused(404, "Not found.")
            for mapping in each.get("parameter_mappings") or []:
                self._check_mapping(mapping, told["parameters"])
            dashcard_id = each["id"] if each["id"] > 0 else next(self._ids)
            stored.append(_dressed({"dashboard_tab_id": None, **each, "id": dashcard_id}))
        return stored

    def _check_mapping(self, mapping: dict[str, Any], parameters: list[dict[str, Any]]) -> None:
        card = _of(self.cards, mapping["card_id"])
        tags = card["dataset_query"]["stages"][0]["template-tags"]
        if mapping["target"][1][1] not in {tag["name"] for tag in tags}:
            raise Refused(400, {"errors": {"parameter_mappings": "no such variable"}})
        if mapping["parameter_id"] not in {each["id"] for each in parameters}:
            raise Refused(400, {"errors": {"parameter_mappings": "no such parameter"}})


def _needs_superuser(method: str, path: str) -> bool:
    """Whether only administrators may do this; collections are open to all here."""
    return method != "GET" and path.startswith(("/api/database", "/api/setting"))


def _dressed(dashcard: dict[str, Any]) -> dict[str, Any]:
    """Add what responses have and requests must not have."""
    return {**dashcard, "card": {"id": dashcard.get("card_id")}, "created_at": "2026-01-01T00:00:00Z"}


def _read(shape: type[Any], body: Any) -> Any:
    try:
        return shape.model_validate(body)
    except ValidationError as error:
        told = {".".join(map(str, each["loc"])): each["msg"] for each in error.errors()}
        raise Refused(400, {"errors": told}) from None


def _of(things: dict[int, dict[str, Any]], thing_id: int) -> dict[str, Any]:
    if thing_id not in things:
        raise Refused(404, "Not found.")
    return things[thing_id]


def _connect(details: dict[str, Any]) -> duckdb.DuckDBPyConnection:
    """Open a database as the driver does: with options for the file, then `init_sql` on each connection."""
    try:
        config = {"memory_limit": details["memory_limit"]} if "memory_limit" in details else {}
        options = filter(None, (details.get("additional-options") or "").split(";"))
        config |= dict(option.split("=", 1) for option in options)
        connection = duckdb.connect(details["database_file"], read_only=details["read_only"], config=config)
        connection.execute(details["init_sql"])
    except duckdb.Error as error:
        raise Refused(400, {"message": str(error)}) from None
    return connection


@contextmanager
def metabase_server(
    metabase: Metabase | None = None, *, host: str = "127.0.0.1", port: int = 0
) -> Iterator[Metabase]:
    """Run a stand-in; a new one on a free port of this machine unless said otherwise."""
    metabase = metabase or Metabase()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._serve("GET")

        def do_POST(self) -> None:
            self._serve("POST")

        def do_PUT(self) -> None:
            self._serve("PUT")

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as it is called
            """Say nothing."""

        def _serve(self, method: str) -> None:
            content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            address = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(address.query).items()}
            try:
                body = json.loads(content) if content else None
                told, status = metabase.answer(method, address.path, query, self.headers, body), 200
            except Refused as refused:
                told, status = refused.body, refused.status
            text = told.encode() if isinstance(told, str) else json.dumps(told).encode()
            if told is None:
                text, status = b"", 204
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

    server = ThreadingHTTPServer((host, port), Handler)
    metabase.url = f"http://{host}:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield metabase
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        metabase.restart()
