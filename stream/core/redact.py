"""Takes secrets out of documents before they become rows; what is taken out cannot be brought back. Pure.

    [redacted:<kind>:<first 8 hex digits of HMAC-SHA256(key, secret)>]

The same secret always gives the same text, so that rows stay comparable and secrets countable; two that
differ hardly ever share one. A document's `_id` stays as it is: it is what a delete names.
"""

import hashlib
import hmac
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import bson
from bson.code import Code

from stream.core.secret_rules import SecretRule

_DIGITS = 8
_ID = "_id"


class Redactor:
    """Replaces secrets in text, wherever in a document it stands: values, keys, at any depth.

    Binary values and regular expressions are left alone.

    Args:
        rules: Applied one after the other.
        key: Makes the digests; whoever has it can try out whether a short secret is the one.
        on_found: Called with the kind of each secret that is replaced; from any thread.
    """

    def __init__(
        self,
        rules: Sequence[SecretRule],
        *,
        key: bytes = b"",
        on_found: Callable[[str], None] = lambda _kind: None,
    ) -> None:
        self._key = key
        self._on_found = on_found
        self._rules = rules
        self._hints = {hint: re.compile(hint.encode()) for rule in rules for hint in rule.hints}

    def telling(self, on_found: Callable[[str], None]) -> "Redactor":
        """Return one that does the same, and tells somebody else."""
        return Redactor(self._rules, key=self._key, on_found=on_found)

    def concerns(self, raw: bytes) -> bool:
        """Whether there may be a secret in a document; if not, there is none.

        Args:
            raw: Its BSON.
        """
        return any(hint.search(raw) for hint in self._hints.values())

    def document(self, document: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return a document without secrets: a copy, or itself if there are none."""
        rules = self._concerning(document)
        if not rules:
            return document
        redacted = {
            self._text(name, rules): self._value(value, rules)
            for name, value in document.items()
            if name != _ID
        }
        return {_ID: document[_ID]} | redacted if _ID in document else redacted

    def _concerning(self, document: Mapping[str, Any]) -> Sequence[SecretRule]:
        """Return the rules that may find something: asking all of them takes ten times as long."""
        try:
            raw = bson.encode(document)
        except Exception:  # noqa: BLE001 - what cannot be encoded is looked through by all
            return self._rules
        found = {hint for hint, pattern in self._hints.items() if pattern.search(raw)}
        return [rule for rule in self._rules if not found.isdisjoint(rule.hints)]

    def _value(self, value: object, rules: Sequence[SecretRule]) -> object:
        if isinstance(value, Code):
            return Code(self._text(str(value), rules), value.scope)
        if isinstance(value, str):
            return self._text(value, rules)
        if isinstance(value, dict):
            return {self._text(name, rules): self._value(inner, rules) for name, inner in value.items()}
        if isinstance(value, list):
            return [self._value(inner, rules) for inner in value]
        return value

    def text(self, text: str) -> str:
        """Return a text without secrets."""
        return self._text(text, self._rules)

    def _text(self, text: str, rules: Sequence[SecretRule]) -> str:
        for rule in rules:
            text = rule.pattern.sub(partial(self._replaced, rule.kind), text)
        return text

    def raw(self, raw: bytes) -> bytes:
        """Return bytes that are no document without the secrets in them; of another length, then."""
        return self.text(raw.decode("latin-1")).encode("latin-1")

    def _replaced(self, kind: str, match: re.Match[str]) -> str:
        self._on_found(kind)
        group = match.re.groups
        secret, start = match[group], match.start(group) - match.start()
        digest = hmac.new(self._key, secret.encode(errors="surrogatepass"), hashlib.sha256).hexdigest()
        mark = f"[redacted:{kind}:{digest[:_DIGITS]}]"
        return f"{match[0][:start]}{mark}{match[0][start + len(secret) :]}"
