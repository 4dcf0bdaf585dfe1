"""Damaged lines give what is whole in them."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch.importer.damaged import whole_records

ONE = b'{"type": "user", "sessionId": "s", "message": {"type": "message", "content": [{"type": "text"}]}}'
TWO = b'{"type":"summary","leafUuid":"u","summary":"{\\"type\\":\\"user\\",\\"sessionId\\":1}"}'


@pytest.mark.parametrize(
    ("line", "records"),
    [
        (ONE + TWO, [ONE, TWO]),
        (b"\0" * 4096 + ONE, [ONE]),
        (ONE + b"\0\0\0", [ONE]),
        (ONE[:70] + TWO, [TWO]),
        (ONE[:20] + TWO + ONE[20:], [TWO]),
        (ONE[30:] + TWO, [TWO]),
        (b"\xff\xfe" + ONE + b"\xff", [ONE]),
        (ONE[:-1], []),
        (ONE[:-1] + b"," + ONE[:-1], []),
        (b"garbage", []),
        (b'{"type": 1, "sessionId": "s"}{"sessionId": "s"}{"type": "text"}{"', []),
        (b'{"a":' * 5000 + TWO, [TWO]),
    ],
    ids=[
        "two on a line",
        "NULs before",
        "NULs behind",
        "torn by another",
        "spliced",
        "its begin is missing",
        "no UTF-8 around",
        "torn",
        "torn twice",
        "nothing",
        "objects that are no records",
        "deep",
    ],
)
def test_whole_records(line: bytes, records: list[bytes]) -> None:
    """Two records on a line, NULs, a splice: all that is whole, nothing that is part of something torn."""
    assert whole_records(line) == records


@given(st.lists(st.text(), min_size=1, max_size=4), st.binary(max_size=20))
def test_nothing_whole_is_lost(texts: list[str], between: bytes) -> None:
    """Whatever people typed, and whatever stands between the records but braces and quotes."""
    between = between.replace(b"{", b"").replace(b'"', b"")
    records = [json.dumps({"type": "user", "sessionId": "s", "text": text}).encode() for text in texts]
    assert whole_records(between.join(records)) == records
