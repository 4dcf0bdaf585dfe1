"""Where executors call their driver back."""

import pytest

from batch.lake.session import own_address


@pytest.mark.parametrize(
    ("master", "address"),
    [
        ("spark://127.0.0.1:7077", "127.0.0.1"),
        ("spark://127.0.0.1:7077,192.0.2.1:7077", "127.0.0.1"),
        ("spark://no-such-master.invalid:7077", None),
        ("local[*]", None),
        ("k8s://https://127.0.0.1:6443", None),
    ],
)
def test_the_driver_is_where_its_masters_are(master: str, address: str | None) -> None:
    """The address that leads to them; with none in sight, Spark's own choice."""
    assert address == own_address(master)
