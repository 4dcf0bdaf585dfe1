"""State files: what comes back, what is taken over, what is refused."""

from typing import Any

import pytest

from stream.core.state import State
from stream.errors import SchemaTooNewError


class Note(State):
    """As its second version, which calls `old_name` `count`."""

    count: int
    schema_version: int = 2

    @classmethod
    def upgraded(cls, fields: dict[str, Any], version: int) -> dict[str, Any]:
        """Return the fields as version 2 writes them."""
        return {"count": fields["old_name"]} if version < 2 else super().upgraded(fields, version)


@pytest.mark.parametrize(
    "content",
    [
        Note(count=3).to_json(),
        b'{"old_name": 3}',
        b'{"old_name": 3, "schema_version": 1}',
        b'{"count": 3, "schema_version": 2, "of_a_patch_release": true}',
    ],
    ids=["this version", "before versions", "the first version", "unknown fields"],
)
def test_what_any_version_wrote_is_read(content: bytes) -> None:
    """In the form, and with the version, that it has now."""
    assert Note(count=3) == Note.from_json(content, what="the note")


@pytest.mark.parametrize(
    ("content", "error", "problem"),
    [
        (b'{"schema_version": 3}', SchemaTooNewError, "the note has schema version 3, this program knows 2"),
        (b"{", ValueError, "EOF while parsing"),
        (b"\xff", ValueError, "expected value"),
        (b"[]", ValueError, "it is no JSON object"),
        (b"{}", ValueError, "KeyError: 'old_name'"),
        (b'{"schema_version": "x"}', ValueError, "TypeError"),
        (b'{"count": "many", "schema_version": 2}', ValueError, "^count: .* valid integer[^\n]*$"),
    ],
    ids=["newer", "torn", "not UTF-8", "list", "fields missing", "no version", "another type"],
)
def test_what_is_no_state_is_said_in_one_line(content: bytes, error: type[Exception], problem: str) -> None:
    """By one kind of error, which callers explain; a newer version has one of its own, with exit code 2."""
    with pytest.raises(error, match=problem):
        Note.from_json(content, what="the note")
