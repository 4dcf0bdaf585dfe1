"""Secrets are taken out of documents; everything else stays, to the letter."""

import re
from collections import Counter
from typing import Any

import bson
import pytest
from bson.binary import Binary
from bson.code import Code
from bson.objectid import ObjectId
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stream.core.normalise import DeadLetter, normalise, undecodable
from stream.core.redact import Redactor
from stream.core.schema import Row
from stream.core.secret_rules import KINDS, SecretRule, known_rules
from tests.support.secrets_for_tests import IN_CONTEXT, SECRETS

RULES = known_rules()
REDACTOR = Redactor(RULES, key=b"test")
MARK = re.compile(r"\[redacted:([a-z_]+):[0-9a-f]{8}\]")
ASCII = st.characters(max_codepoint=127)
ALL = [(kind, secret) for kind, secrets in SECRETS.items() for secret in secrets]


def read(document: dict[str, Any], redactor: Redactor = REDACTOR) -> Row | DeadLetter:
    return normalise(document, source_version=1, extracted_at=1, redactor=redactor)


def redacted(text: str) -> tuple[str, Counter[str]]:
    found: Counter[str] = Counter()
    return REDACTOR.telling(lambda kind: found.update([kind])).text(text), found


def test_the_kinds_are_those_of_the_rules() -> None:
    """The label set of the metric is closed and complete, and every kind has an example here."""
    assert set(KINDS) == {rule.kind for rule in RULES}
    assert list(KINDS) == sorted(KINDS)
    assert set(KINDS) == SECRETS.keys() | IN_CONTEXT.keys()


@pytest.mark.parametrize(("kind", "secret"), ALL, ids=[f"{kind}-{n}" for n, (kind, _) in enumerate(ALL)])
def test_a_secret_is_replaced_as_a_whole(kind: str, secret: str) -> None:
    """Alone, in a sentence, and inside JSON that is text; what stands around it stays."""
    for before, after in (("", ""), ("it is ", " , use it"), ('{"key": "', '"}')):
        text, found = redacted(f"{before}{secret}{after}")
        if kind == "private_key" and "cut off" in secret:  # no end: all that follows is taken
            after = ""  # noqa: PLW2901 - said above
        assert (before, after) == (MARK.split(text)[0], MARK.split(text)[-1])
        assert [kind] == MARK.findall(text)
        assert {kind: 1} == found


@pytest.mark.parametrize(
    ("kind", "before", "secret", "after"),
    [(kind, *parts) for kind, examples in IN_CONTEXT.items() for parts in examples],
)
def test_a_secret_told_by_its_surroundings_leaves_them(
    kind: str, before: str, secret: str, after: str
) -> None:
    """The name, the user, the host stay readable."""
    text, found = redacted(f"{before}{secret}{after}")
    assert re.fullmatch(rf"{re.escape(before)}\[redacted:{kind}:[0-9a-f]{{8}}\]{re.escape(after)}", text)
    assert {kind: 1} == found


@pytest.mark.parametrize(
    "text",
    [
        "3f1c6a52-8a8c-4b0e-9a55-0f0f5d2b8f11",
        "msg_01XFDUDYJgAACzvnptvVoYEL",
        "toolu_01A09q90qw90lq917835lq9",
        "req_011CSHoEeqs5C35K2UUqR7Fy",
        "da39a3ee5e6b4b0d3255bfef95601890afd80709",
        "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "git@github.com:someone/repository.git",
        "https://example.org:8080/path?x=1#y",
        "http://localhost:27017/ and user@host",
        "npm install react@18.2.0 @types/node@20",
        "@app.route('/x') def f(): return a @ b",
        "TOKEN=$SECRET_FROM_VAULT KEY=${KEY} PASSWORD=<yours> SECRET=[redacted:environment:01234567]",
        "the secret is that there is none; password: see the vault; key=value",
        "task-0123456789-0123456789-abcdefghij",
        "claude-opus-4-1-20250805",
        "-----BEGIN PUBLIC KEY-----\nabc\n-----END PUBLIC KEY-----",
        "2026-01-03T10:00:00.000Z 12345678:90",
        "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAUA",
        "Bearer tokens are not explained here",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    """Identifiers, hashes, addresses and code are what the analysis is about."""
    assert (text, Counter()) == redacted(text)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"{rule.kind}-{RULES.index(rule)}")
@given(data=st.data())
@settings(max_examples=40, suppress_health_check=list(HealthCheck))
def test_no_match_is_without_a_hint(rule: SecretRule, data: st.DataObject) -> None:
    """Whatever a rule finds, the quick look at the document's bytes finds a hint of it first."""
    text = data.draw(st.from_regex(rule.pattern, alphabet=ASCII))
    raw = bson.encode({"text": text})
    assert any(re.search(hint.encode(), raw) for hint in rule.hints)
    assert REDACTOR.concerns(raw)


@given(st.text(ASCII) | st.sampled_from(ALL).map(lambda each: each[1]), st.sampled_from(ALL))
def test_what_is_redacted_stays_as_it_is(text: str, secret: tuple[str, str]) -> None:
    """Doing it twice changes nothing, and the same text always gives the same."""
    once, _ = redacted(f"{text} {secret[1]} {text}")
    assert (once, Counter()) == redacted(once)
    assert once == redacted(f"{text} {secret[1]} {text}")[0]


def test_marks_tell_secrets_apart_and_depend_on_the_key() -> None:
    """Equal secrets are equal, different ones differ, and without the key nobody can try guesses."""
    one, other = "ana@example.org", "ben@example.org"
    assert redacted(one) == redacted(one)
    assert redacted(one)[0] != redacted(other)[0]
    assert redacted(one)[0] != Redactor(RULES, key=b"another").text(one)


def test_a_document_is_redacted_everywhere_but_its_id() -> None:
    """Values and keys at any depth, code too; what is no text stays the same value."""
    secret = SECRETS["github"][0]
    instant = ObjectId()
    document: dict[str, Any] = {
        "_id": secret,
        "type": "user",
        "message": {"content": [{"type": "text", "text": f"use {secret}"}, secret, 7, None]},
        "deep": {"er": [{secret: {"code": Code(f"login('{secret}')", {"x": 1})}}]},
        "number": 1.5,
        "binary": Binary(b"\x00\xff", 5),
        "when": instant,
    }
    before = bson.encode(document)
    found = REDACTOR.document(document)

    assert before == bson.encode(document)
    assert secret == found["_id"]
    assert secret not in repr({name: value for name, value in found.items() if name != "_id"})
    assert {"x": 1} == next(iter(found["deep"]["er"][0].values()))["code"].scope
    assert [7, None] == found["message"]["content"][2:]
    assert (1.5, Binary(b"\x00\xff", 5), instant) == tuple(
        found[name] for name in ("number", "binary", "when")
    )


def test_a_clean_document_is_not_copied() -> None:
    """Nearly all are clean, so that is what must be quick."""
    document = {"_id": 1, "type": "user", "message": {"content": "hello"}}
    assert REDACTOR.document(document) is document


def test_what_bson_cannot_hold_is_redacted_too() -> None:
    """Text that is no UTF-8, say: every rule is asked then."""
    secret = SECRETS["aws"][0]
    assert secret not in repr(REDACTOR.document({"a": f"\ud800{secret}", "b": object()}))


def test_rows_and_dead_letters_hold_no_secret() -> None:
    """The row's text, JSON and unnamed fields; a dead letter's raw document, decodable or not."""
    secret = SECRETS["api_key"][0]
    message = {"role": "user", "content": [{"type": "text", "text": f"key {secret}"}]}
    row = read({"_id": 1, "type": "user", "message": message, "cwd": f"/home/{secret}"})
    assert isinstance(row, Row)
    assert secret not in repr(row)
    assert row.message_content is not None
    assert MARK.search(row.message_content)

    letters = [
        read({"_id": 1, "message": message}),
        read({"_id": 1, "type": "user", "timestamp": secret}),
        undecodable(b"\xff\x00" + secret.encode(), "broken", redactor=REDACTOR),
    ]
    for letter in letters:
        assert isinstance(letter, DeadLetter)
        assert secret not in letter.raw
    assert isinstance(letters[2], DeadLetter)
    assert b"[redacted:api_key:" in bson.json_util.loads(letters[2].raw)["$bson"]


def test_a_document_that_cannot_be_redacted_is_not_kept() -> None:
    """Rather nothing than a secret: the dead letter names the document, which is still in MongoDB."""

    class Broken(Redactor):
        def document(self, document: Any) -> Any:
            del document
            raise RecursionError

    letter = read({"_id": 7, "type": "user", "cwd": "x"}, Broken(RULES))
    assert isinstance(letter, DeadLetter)
    assert ("undecodable", "i:7") == (letter.reason, letter.document_id)
    assert "cannot be redacted: RecursionError" == letter.detail
    assert "cwd" not in letter.raw


@pytest.mark.parametrize(
    "text",
    ["a" * 500_000, "eyJ" * 200_000, "sk-" * 200_000, "-----BEGIN " * 50_000, "://a:" * 100_000,
     "a." * 200_000, "@a" * 200_000, "Bearer " * 100_000, "aws" * 200_000, "KEY=" * 100_000,
     "-----BEGIN PRIV" "ATE KEY-----" * 10_000, "gh" "p_" * 100_000, "eyJaaaaaaaaaa." * 30_000],
    ids=lambda text: text[:12],
)  # fmt: skip
def test_long_text_takes_no_longer_than_its_length(text: str) -> None:
    """Made to mislead the rules; were one of them quadratic, this would not end."""
    REDACTOR.text(text)
    REDACTOR.concerns(text.encode())
