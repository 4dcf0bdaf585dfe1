"""What a drop, a rename or a replacement of the collection brings about."""

import pytest

from stream.core.cluster_time import cluster_time_of
from stream.core.collection_event import Action, InvalidationPolicy
from stream.settings import OnDrop, OnHistoryLost
from tests.support.replies import event

NAMESPACE = "claude_logs.conversations"
AWAY = event("rename", 7, to={"db": "claude_logs", "coll": "old.conversations"})
ONTO = event("rename", 7, to={"db": "claude_logs", "coll": "conversations"})


@pytest.mark.parametrize(
    ("on_drop", "on_history_lost", "gone", "replaced"),
    [
        ("delete", "stop", "truncate", "stop"),
        ("delete", "resnapshot", "truncate", "resnapshot"),
        ("keep", "stop", "keep", "keep"),
        ("keep", "resnapshot", "keep", "keep"),
        ("stop", "stop", "stop", "stop"),
        ("stop", "resnapshot", "stop", "stop"),
    ],
)
def test_the_settings_decide(
    on_drop: OnDrop, on_history_lost: OnHistoryLost, gone: Action, replaced: Action
) -> None:
    """A new content can only be read anew, where that is allowed."""
    policy = InvalidationPolicy(on_drop, on_history_lost)

    assert gone == policy.judge(event("drop", 7), NAMESPACE).action
    assert gone == policy.judge(event("dropDatabase", 7), NAMESPACE).action
    assert gone == policy.judge(AWAY, NAMESPACE).action
    assert replaced == policy.judge(ONTO, NAMESPACE).action


def test_an_invalidating_event_says_what_and_when() -> None:
    """The new name tells a collection that went away from one that came."""
    away = InvalidationPolicy().judge(AWAY, NAMESPACE)

    assert ("rename", cluster_time_of(7, 1)) == (away.operation, away.cluster_time)
    assert ("claude_logs.old.conversations", False) == (away.target, away.is_replacement)
    assert InvalidationPolicy().judge(ONTO, NAMESPACE).is_replacement
    assert InvalidationPolicy().judge(event("drop", 7), NAMESPACE).target is None


def test_the_error_of_a_replacement_names_the_way() -> None:
    """Exit code 2, and that nothing else tells what the collection holds."""
    error = InvalidationPolicy().judge(ONTO, NAMESPACE).error(NAMESPACE)

    assert (
        "the collection `claude_logs.conversations` has been replaced as a whole: "
        "`rename` to `claude_logs.conversations`"
    ) == error.message
    assert "--on-history-lost=resnapshot" in error.hint
    assert 2 == error.exit_code
