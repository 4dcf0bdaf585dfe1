"""What a drop, a rename or a replacement of the collection brings about."""

import pytest

from stream.core.collection_event import Consequence, UpheavalPolicy
from stream.core.position import cluster_time_of
from stream.settings import OnDrop, OnHistoryLost
from tests.support.replies import event

NAMESPACE = "claude_logs.conversations"
AWAY = event("rename", 7, to={"db": "claude_logs", "coll": "old.conversations"})
ONTO = event("rename", 7, to={"db": "claude_logs", "coll": "conversations"})


@pytest.mark.parametrize(
    ("on_drop", "on_history_lost", "gone", "replaced"),
    [
        ("delete", "stop", "sweep", "stop"),
        ("delete", "rebackfill", "sweep", "read_anew"),
        ("keep", "stop", "keep", "keep"),
        ("keep", "rebackfill", "keep", "keep"),
        ("stop", "stop", "stop", "stop"),
        ("stop", "rebackfill", "stop", "stop"),
    ],
)
def test_the_settings_decide(
    on_drop: OnDrop, on_history_lost: OnHistoryLost, gone: Consequence, replaced: Consequence
) -> None:
    """A new content can only be read anew, where that is allowed."""
    policy = UpheavalPolicy(on_drop, on_history_lost)

    assert policy.judge(event("drop", 7), NAMESPACE).consequence == gone
    assert policy.judge(event("dropDatabase", 7), NAMESPACE).consequence == gone
    assert policy.judge(AWAY, NAMESPACE).consequence == gone
    assert policy.judge(ONTO, NAMESPACE).consequence == replaced


def test_an_upheaval_says_what_and_when() -> None:
    """The new name tells a collection that went away from one that came."""
    away = UpheavalPolicy().judge(AWAY, NAMESPACE)

    assert (away.operation, away.cluster_time) == ("rename", cluster_time_of(7, 1))
    assert (away.target, away.is_replacement) == ("claude_logs.old.conversations", False)
    assert UpheavalPolicy().judge(ONTO, NAMESPACE).is_replacement
    assert UpheavalPolicy().judge(event("drop", 7), NAMESPACE).target is None


def test_the_error_of_a_replacement_names_the_way() -> None:
    """Exit code 2, and that nothing else tells what the collection holds."""
    error = UpheavalPolicy().judge(ONTO, NAMESPACE).error(NAMESPACE)

    assert error.message == (
        "the collection `claude_logs.conversations` has been replaced as a whole: "
        "`rename` to `claude_logs.conversations`"
    )
    assert "--on-history-lost=rebackfill" in error.hint
    assert error.exit_code == 2
