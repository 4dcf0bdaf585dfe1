"""The compiled way is used only where it has shown that it gives what Python gives."""

from collections.abc import Iterator
from dataclasses import replace

import pyarrow as pa
import pytest

from stream.core.transcribed import LEFT, Transcribed
from stream.decode import compiled, self_check
from stream.decode.columns import tabulate_compiled, tabulate_in_python

is_built = pytest.mark.skipif(compiled.problem() is not None, reason="the extension is not built")


@pytest.fixture(autouse=True)
def _asked_anew() -> Iterator[None]:
    self_check.problem.cache_clear()
    yield
    self_check.problem.cache_clear()


def without_first_role(found: Transcribed | None) -> Transcribed | None:
    """Make a mistake in one value."""
    assert found is not None
    place = found.table.schema.get_field_index("message_role")
    values = pa.array([None, *found.table["message_role"].to_pylist()[1:]], pa.string())
    return replace(found, table=found.table.set_column(place, found.table.schema[place], values))


def left(found: Transcribed | None) -> Transcribed | None:
    """Leave everything to Python: right, but slow."""
    assert found is not None
    return Transcribed(found.batch, found.spans, bytes([LEFT]) * len(found))


@is_built
def test_the_compiled_way_is_chosen() -> None:
    """As it gives the same."""
    assert self_check.problem() is None
    assert tabulate_compiled == self_check.tabulate_way(None).func  # type: ignore[attr-defined]
    assert compiled.transcribe_events == self_check.transcribe_way()


@is_built
@pytest.mark.parametrize(
    ("change", "expected"),
    [(without_first_role, "are not those that Python makes"), (left, "it makes 0 of the")],
    ids=["wrong", "idle"],
)
def test_a_compiled_way_that_is_wrong_or_idle_is_found_out(change, expected: str) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
    """For documents and for change events, each by itself."""
    documents = self_check.difference(
        lambda batch, **when: change(compiled.transcribe_documents(batch, **when)), compiled.transcribe_events
    )
    events = self_check.difference(
        compiled.transcribe_documents,
        lambda batch, *, extracted_at: change(compiled.transcribe_events(batch, extracted_at=extracted_at)),
    )
    assert expected in str(documents)
    assert expected in str(events)
    assert "events" in str(events)


def test_without_the_extension_python_does_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """And says why."""
    monkeypatch.setattr(compiled, "_problem", "no module")
    assert "not built: no module" == self_check.problem()
    assert tabulate_in_python == self_check.tabulate_way(None).func  # type: ignore[attr-defined]
    assert self_check.transcribe_way() is None
