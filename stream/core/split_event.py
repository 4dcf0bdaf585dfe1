"""Events over 16 MB, which newer servers send in fragments: put together again. Pure."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import bson
from bson.raw_bson import RawBSONDocument

from stream.core.change_event import Reply, elements
from stream.errors import StepFailedError

SPLIT_STAGE: Mapping[str, Any] = {"$changeStreamSplitLargeEvent": {}}
"""The last stage of a pipeline whose events may come in fragments."""

_MARK = b"\x03splitEvent\x00"


class SplitEvents:
    """Joins the fragments that one cursor gives. No resume point inside a split event ever leaves it."""

    def __init__(self) -> None:
        self._fragments: list[RawBSONDocument] = []

    def joined(self, reply: Reply) -> Reply | None:
        """Return a reply of whole events; None as long as there is only a part of one.

        Raises:
            StepFailedError: A fragment is missing. Behind the last whole event they all come again.
        """
        if not self._fragments and _MARK not in reply.batch:
            return reply
        whole: list[Mapping[str, Any]] = []
        for _, _, start, end in elements(reply.batch):
            event = RawBSONDocument(reply.batch[start:end])
            place = event.get("splitEvent")
            if place is None:
                whole.append(event)
                continue
            self._fragments.append(event)
            if place["fragment"] != len(self._fragments):
                raise StepFailedError(
                    f"cannot read the server's reply: fragment {place['fragment']} of an event stands "
                    f"where fragment {len(self._fragments)} should",
                    hint="nothing is lost: the event is read again from its beginning",
                )
            if place["fragment"] == place["of"]:
                whole.append(self._join())
        if not whole and self._fragments:
            return None
        batch = bson.encode({str(number): event for number, event in enumerate(whole)})
        token = _plain(whole[-1]["_id"]) if self._fragments else reply.token
        return replace(reply, batch=batch, token=token)

    def _join(self) -> dict[str, Any]:
        """Return the event of all fragments; it resumes where the last of them does."""
        event = {name: value for fragment in self._fragments for name, value in fragment.items()}
        del event["splitEvent"]
        self._fragments.clear()
        return event


def _plain(token: RawBSONDocument) -> Mapping[str, Any]:
    return bson.decode(token.raw)
