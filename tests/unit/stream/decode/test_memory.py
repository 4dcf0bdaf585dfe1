"""How often the cycle collector runs."""

import gc

from stream.decode.memory import collect_garbage, rare_garbage_collection


def test_garbage_is_collected_seldom_for_a_while() -> None:
    """Within a block, and what runs within it; afterwards as before, with nothing left out of sight."""
    usual = gc.get_threshold()
    with rare_garbage_collection():
        seldom = gc.get_threshold()
        assert gc.get_freeze_count() > 0
        newer: list[object] = []
        with rare_garbage_collection():
            assert seldom == gc.get_threshold()
        assert seldom == gc.get_threshold()
        # The inner block froze nothing, or this would be out of sight.
        assert any(each is newer for each in gc.get_objects())
    assert seldom[0] > usual[0]
    assert (usual, 0) == (gc.get_threshold(), gc.get_freeze_count())


def test_what_was_frozen_is_collected_too() -> None:
    """A cycle that has become garbage since the last time goes at the next."""

    class Node:
        other: "Node | None" = None

    node = Node()
    node.other = node
    try:
        collect_garbage()
        del node
        collect_garbage()
        gc.unfreeze()
        assert not any(isinstance(each, Node) for each in gc.get_objects())
    finally:
        gc.unfreeze()
