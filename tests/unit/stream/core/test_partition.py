"""A worker's share of the changes."""

from stream.core.partition import WHOLE, Partition


def test_one_partition_is_the_stream_as_it_always_was() -> None:
    """Its lane, and no stage more."""
    assert ("stream", []) == (WHOLE.lane, WHOLE.stages)


def test_lanes_are_unique_for_ever() -> None:
    """The same number, chosen again later, does not find the old lanes with their old positions."""
    assert "stream-0001-1-of-4" == Partition(1, 4, 1).lane
    chosen = ((2, 1), (4, 2), (2, 3))
    lanes = {Partition(number, count, at).lane for count, at in chosen for number in range(count)}
    assert 8 == len(lanes)
    assert Partition(0, 1, 2).lane != WHOLE.lane
    assert [] == Partition(0, 1, 2).stages


def test_a_remainder_may_be_negative() -> None:
    """The server's hash is signed, and so is the remainder of its `$mod`."""
    (stage,) = Partition(1, 4, 1).stages
    _, ours = stage["$match"]["$or"]
    remainders = ours["$expr"]["$in"][1]
    for hashed in range(-50, 50):
        remainder = abs(hashed) % 4 * (1 if hashed >= 0 else -1)
        assert (remainder in remainders) == (hashed % 4 == 1)
