"""What the wiring adds to its steps: after the first error nothing happens any more."""

import pytest

from stream.flow import Guard
from stream.stop import StopSignal


def test_a_guarded_step_does_what_it_did() -> None:
    """As long as nothing fails."""
    stop = StopSignal()
    guard = Guard(stop)
    double = guard.guarded(lambda number: number * 2)

    assert [2, 4] == [double(1), double(2)]
    assert guard.error is None
    assert not stop.is_set


@pytest.mark.parametrize(
    "error", [ValueError("unforeseen"), MemoryError()], ids=["ValueError", "MemoryError"]
)
def test_after_an_error_no_step_does_anything(error: Exception) -> None:
    """A window behind one that did not land must not land; the first error is the one that counts."""
    stop = StopSignal()
    guard = Guard(stop)
    landed: list[int] = []

    def land(number: int) -> int:
        if number == 2:
            raise error
        landed.append(number)
        return number

    first, second = guard.guarded(land), guard.guarded(land)

    assert [1, None, None, None, None] == [first(1), first(2), first(3), second(4), second(2)]
    assert [1] == landed
    assert guard.error is error
    assert stop.is_set
    assert stop.error is None
