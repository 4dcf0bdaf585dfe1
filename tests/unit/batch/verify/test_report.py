"""What a verification says."""

import pytest

from batch.verify.report import KINDS, REAL, Kind, Tally, Verification


def verification(tally: Tally) -> Verification:
    return Verification(
        namespace="claude_logs.conversations",
        first_cluster_time=1_767_225_600 << 31,
        last_cluster_time=(1_767_225_601 << 31) + 5,
        documents=10,
        rows=9,
        pieces=1,
        ranges_in_all=2,
        ranges_differing=1,
        looked_again=1,
        counts=tally.counts,
        first=tally.first,
        seconds=2.0,
        size_bytes=100,
    )


@pytest.mark.parametrize("kind", KINDS)
def test_only_what_is_explained_is_no_difference(kind: Kind) -> None:
    """Changes under way and dead letters leave the verdict `same`; anything else does not."""
    tally = Tally(limit=1)
    tally.add("s:1", kind)
    result = verification(tally)
    assert (kind not in REAL) == result.is_same
    assert ("different" if kind in REAL else "same") == result.to_json()["verdict"]
    assert int(kind in REAL) == tally.real


def test_only_the_first_are_named() -> None:
    """All are counted, the first few are kept."""
    tally = Tally(limit=2)
    for number in range(5):
        tally.add(f"i:{number}", "dead letter")
    found = verification(tally).to_json()
    assert (5, ["i:0", "i:1"]) == (found["counts"]["dead_letter"], found["first"]["dead_letter"])


def test_the_speed_and_the_times_are_told() -> None:
    """Cluster times become instants, and the speed is per second."""
    found = verification(Tally(limit=1)).to_json()
    assert ("2026-01-01T00:00:00+00:00", "2026-01-01T00:00:01+00:00", 5) == (
        found["from"],
        found["to"],
        found["documents_per_second"],
    )
