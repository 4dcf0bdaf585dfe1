"""The error tree: exit codes, hints, and secrets that never get out."""

import inspect

import pytest

from stream import errors
from stream.errors import AnalyticsError, TerminalError, TransientError, mask_secrets

LEAVES = sorted(
    (
        found
        for _, found in inspect.getmembers(errors, inspect.isclass)
        if issubclass(found, AnalyticsError) and not found.__subclasses__()
    ),
    key=lambda leaf: leaf.__name__,
)


@pytest.mark.parametrize("leaf", LEAVES, ids=[leaf.__name__ for leaf in LEAVES])
def test_each_leaf_says_whether_to_try_again(leaf: type[AnalyticsError]) -> None:
    """Transient ends with 1, terminal with 2; there is no third kind."""
    error = leaf("it failed", hint="do this")

    assert error.exit_code == {TransientError: 1, TerminalError: 2}[leaf.__mro__[1]]
    assert ("it failed", "it failed", "do this") == (str(error), error.message, error.hint)
    assert leaf.__doc__


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    """Every class is drawn, nothing else is."""
    drawn = {word for word in (errors.__doc__ or "").split() if word.endswith("Error")}

    assert drawn == {leaf.__name__ for leaf in (*LEAVES, AnalyticsError, TransientError, TerminalError)}


def test_message_and_hint_are_masked() -> None:
    """Whatever URI gets into them."""
    error = errors.StepFailedError(
        "cannot reach mongodb://app:geheim@db:27017/x", hint="try mongodb+srv://app:geheim@db"
    )

    assert "cannot reach mongodb://app:***@db:27017/x" == error.message
    assert "try mongodb+srv://app:***@db" == error.hint
    assert "geheim" not in repr(error)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mongodb://db:27017/x", "mongodb://db:27017/x"),
        ("mongodb://app@db/x", "mongodb://app@db/x"),
        ("mongodb://app:geheim@db/x", "mongodb://app:***@db/x"),
        ("mongodb+srv://app:geheim@cluster.example/x?w=1", "mongodb+srv://app:***@cluster.example/x?w=1"),
        ("mongodb://app:ge%40h%2Feim%3A@db", "mongodb://app:***@db"),
        ("mongodb://app:ge@heim@db", "mongodb://app:***@db"),
        ("mongodb://app:ge/heim@db/x", "mongodb://app:***@db/x"),
        ("mongodb://app:ge:heim@db", "mongodb://app:***@db"),
        ("mongodb://app:geheim?#@db", "mongodb://app:***@db"),
        ("mongodb://a@b:geheim@db", "mongodb://a@b:***@db"),
        ("mongodb://:geheim@db", "mongodb://:***@db"),
        ("mongodb://app:@db", "mongodb://app:***@db"),
        ("MONGODB://app:geheim@db", "MONGODB://app:***@db"),
        ("`mongodb://app:geheim@a:1,b:2/x` and `x@y`", "`mongodb://app:***@a:1,b:2/x` and `x@y`"),
        ("two: http://u:geheim@h then ftp://v:geheim@i", "two: http://u:***@h then ftp://v:***@i"),
        ('{"uri":"mongodb://app:geheim@db"}', '{"uri":"mongodb://app:***@db"}'),
        ("db/?tlsCertificateKeyFilePassword=geheim&w=1", "db/?tlsCertificateKeyFilePassword=***&w=1"),
        ("?authMechanismProperties=AWS_SESSION_TOKEN:geheim&w=1",
         "?authMechanismProperties=AWS_SESSION_TOKEN:***&w=1"),
        ("password: see above", "password: see above"),
        ("at 10:00 mail me@home", "at 10:00 mail me@home"),
    ],
)  # fmt: skip
def test_passwords_are_masked_however_odd(text: str, expected: str) -> None:
    """User and host stay, to tell accounts apart; a password that is not encoded properly is masked too."""
    assert expected == mask_secrets(text)
