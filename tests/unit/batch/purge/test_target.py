"""What is of a conversation or a project: in SQL, in MongoDB's query and in Python the same."""

import json
import re
from typing import Any

import duckdb
import pytest
from bson import json_util
from hypothesis import example, given
from hypothesis import strategies as st
from jinja2 import Environment

from batch.purge.target import Target
from tests.support.paths import ROOT

SESSION = Target("session", "a.b'c")
PROJECT = Target("project", "-home-ana")
DOCUMENTS: dict[str, tuple[dict[str, Any], bool]] = {
    "its own": ({"sessionId": "a.b'c", "sourceFile": "p/x.jsonl"}, True),
    "another's in its file": ({"sessionId": "other", "sourceFile": "p/a.b'c.jsonl"}, False),
    "by its file": ({"sourceFile": "p/a.b'c.jsonl"}, True),
    "by its file, without folder": ({"sessionId": None, "sourceFile": "a.b'c.jsonl"}, True),
    "by its file, without ending": ({"sourceFile": "p/a.b'c"}, True),
    "a subagent's": ({"sourceFile": "p/a.b'c/subagents/agent-1.jsonl"}, True),
    "a file among another's subagents": ({"sourceFile": "p/x/subagents/a.b'c.jsonl"}, False),
    "a dot is a dot": ({"sourceFile": "p/aXb'c.jsonl"}, False),
    "a longer name": ({"sourceFile": "p/za.b'c.jsonl"}, False),
    "nobody's": ({}, False),
}


@pytest.mark.parametrize(("document", "expected"), DOCUMENTS.values(), ids=DOCUMENTS.keys())
def test_a_conversation_is_told_the_same_way_everywhere(document: dict[str, Any], expected: bool) -> None:  # noqa: FBT001
    """A line without a `sessionId` belongs to the conversation its file is named after."""
    assert SESSION.has_document(document) is expected
    row = (document.get("sessionId"), document.get("sourceFile"))
    found = duckdb.execute(
        f"select {SESSION.is_row_of_it} from (select ?::varchar as session_id, ?::varchar as source_file)",
        row,
    ).fetchall()
    assert [(expected,)] == found
    by_id, by_file = SESSION.query["$or"]
    pattern = by_file["sourceFile"]["$regex"]
    is_of_file = document.get("sessionId") is None and re.search(pattern, document.get("sourceFile", ""))
    assert (document.get("sessionId") == by_id["sessionId"] or bool(is_of_file)) is expected


class Adapter:
    """What dbt gives to macros, as far as these ask for it."""

    def __init__(self) -> None:
        self.macros: Any = None

    def dispatch(self, name: str) -> Any:
        """Return DuckDB's way of a macro, which may be that of most."""
        default = getattr(self.macros, f"default__{name}", None)
        return getattr(self.macros, f"duckdb__{name}", default)


@pytest.fixture(scope="module")
def session_of_file() -> str:
    """Return the SQL by which the marts tell the conversation of a column `source_file`."""
    folder = ROOT / "dbt" / "macros"
    files = (folder / "portable" / "text.sql", folder / "rules" / "conversation.sql")
    adapter = Adapter()
    source = "".join(file.read_text(encoding="utf-8") for file in files)
    adapter.macros = Environment().from_string(source).make_module({"adapter": adapter})  # noqa: S701 - SQL
    return str(adapter.macros.session_of_file("source_file"))


@given(
    path=st.lists(
        st.sampled_from(["a", "b.c", "é", "subagents", ".jsonl", "jsonl", "/", "/", "."]), min_size=1
    ).map("".join)
)
@example(path="p/x/subagents/y.jsonl")
@example(path="p/subagents/y.jsonl.jsonl")
@example(path="p/subagents/x/subagents/y")
@example(path="/subagents/y")
def test_the_marts_tell_it_the_same_way(path: str, session_of_file: str) -> None:
    """Else a purge would leave lines that the marts show, or take others."""
    ((owner,),) = duckdb.execute(
        f"select {session_of_file} from (select ? as source_file)", [path]
    ).fetchall()
    for name in {owner, *path.split("/")} - {"", "unknown"}:
        target = Target("session", name)
        ((is_row,),) = duckdb.execute(
            f"select {target.is_row_of_it} from (select null as session_id, ? as source_file)", [path]
        ).fetchall()
        in_source = re.search(target.query["$or"][1]["sourceFile"]["$regex"], path) is not None
        expected = (name == owner,) * 3
        assert expected == (is_row, target.has_document({"sourceFile": path}), in_source), (name, owner)


def test_a_project_is_what_lines_say() -> None:
    """Only lines that name it."""
    text = "-home-ana"
    assert {"projectId": text} == PROJECT.query
    assert PROJECT.has_document({"projectId": text})
    assert not PROJECT.has_document({"projectId": None, "sourceFile": f"{text}/x.jsonl"})
    found = duckdb.execute(
        f"select {PROJECT.is_row_of_it} from (values (?), (null), ('x')) as rows (project_id)", [text]
    ).fetchall()
    assert [(True,), (False,), (False,)] == found


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (json.dumps({"sessionId": "a.b'c"}), True),
        (json.dumps({"sessionId": "x", "text": "a.b'c"}), False),
        (json_util.dumps({"$bson": b"\x00 a.b'c \x00"}), True),
        (json_util.dumps({"$bson": b"\x00 other \x00"}), False),
        ("cut off: a.b'c", True),
        ("[1]", False),
    ],
    ids=["its own", "a mention", "bytes", "other bytes", "no JSON", "no document"],
)
def test_dead_letters_that_nobody_can_read_go_in_doubt(raw: str, expected: bool) -> None:  # noqa: FBT001
    """Rather one too many than one too few."""
    assert SESSION.has_letter(raw) is expected
