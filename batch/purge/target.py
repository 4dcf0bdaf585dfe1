"""What is to be purged, as each store says it. Pure."""

import base64
import binascii
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from stream import sql

PURGED = "(purged)"
"""Stands in texts where an id stood."""

_IN_SUBAGENTS = re.compile(r"([^/]+)/subagents/")
_FILE_NAME = re.compile(r"([^/]+)$")
_ENDING = ".jsonl"


@dataclass(frozen=True)
class Target:
    """One conversation or one project.

    A line without a `sessionId` belongs to the conversation its file is named after, as in the marts (dbt's
    macro `session_of_file`); the lines of subagents carry the `sessionId` of their conversation.

    Attributes:
        kind: Which of the two.
        id: Its `sessionId` or `projectId`.
    """

    kind: Literal["session", "project"]
    id: str

    @property
    def column(self) -> str:
        """Column that names it, in `raw` and in the marts."""
        return f"{self.kind}_id"

    @property
    def pattern(self) -> str:
        """Regular expression that finds the id in a text, not within a longer one."""
        return rf"(^|[^\w-]){re.escape(self.id)}([^\w-]|$)"

    @property
    def is_row_of_it(self) -> str:
        """Condition on rows of the landing zone and of `raw.conversations`; never null."""
        named = f"coalesce({self.column} = {sql.literal(self.id)}, false)"
        if self.kind == "project":
            return named
        in_subagents = "nullif(regexp_extract(source_file, '([^/]+)/subagents/', 1), '')"
        file_name = "nullif(regexp_extract(regexp_replace(source_file, '[.]jsonl$', ''), '([^/]+)$', 1), '')"
        of_file = f"coalesce(coalesce({in_subagents}, {file_name}) = {sql.literal(self.id)}, false)"
        return f"({named} or (session_id is null and {of_file}))"

    @property
    def query(self) -> dict[str, Any]:
        """Query for its documents in MongoDB."""
        if self.kind == "project":
            return {"projectId": self.id}
        name = re.escape(self.id)
        # A file named `x.jsonl` is that of `x`, never of `x.jsonl`; of several `subagents` the first counts.
        ending = "[.]jsonl" if self.id.endswith(_ENDING) else "([.]jsonl)?"
        own = f"^(?!.*[^/]/subagents/)(.*/)?{name}{ending}$"
        subagents = f"^([^/]+/(?!subagents/)|/)*{name}/subagents/"
        of_file = {"$regex": f"{own}|{subagents}"}
        return {"$or": [{"sessionId": self.id}, {"sessionId": None, "sourceFile": of_file}]}

    def has_document(self, document: Mapping[str, Any]) -> bool:
        """Whether a document is of it."""
        if document.get(f"{self.kind}Id") == self.id:
            return True
        source_file = document.get("sourceFile")
        if (
            self.kind == "project"
            or document.get("sessionId") is not None
            or not isinstance(source_file, str)
        ):
            return False
        found = _IN_SUBAGENTS.search(source_file) or _FILE_NAME.search(source_file.removesuffix(_ENDING))
        return found is not None and found[1] == self.id

    def has_letter(self, raw: str) -> bool:
        """Whether a dead letter is of it; one that cannot be read is if it holds the id anywhere."""
        try:
            document = json.loads(raw)
            if isinstance(document, dict) and document.keys() != {"$bson"}:
                return self.has_document(document)
            return self.id.encode() in base64.b64decode(document["$bson"]["$binary"]["base64"])
        except (ValueError, TypeError, KeyError, binascii.Error):
            return self.id in raw
