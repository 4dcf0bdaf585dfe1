"""Metabase's template syntax, read token by token as its parser does; optional parts whole or not at all.

`{{name}}` is a variable, `[[…]]` an optional part: it stays if each of its variables has a value, and may not
hold another one. Comments are text; quoted text is no exception: Metabase finds `{{` and `[[` there too, so a
query with brackets in a literal or a list of lists is misread. Values are bound by the driver, in order.
"""

import datetime as dt
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

_TOKENS = re.compile(r"\[\[|\]\]|\{\{|\}\}|--[^\n]*|/\*.*?\*/", re.DOTALL)
_NAME = re.compile(r"\s*([A-Za-z0-9_.#-]+)\s*")


class TemplateError(ValueError):
    """A query that Metabase cannot read."""


@dataclass(frozen=True)
class Variable:
    """`{{name}}`."""

    name: str


@dataclass(frozen=True)
class Optional:
    """`[[…]]`: text and variables."""

    parts: tuple["str | Variable", ...]

    @property
    def names(self) -> set[str]:
        """Its variables."""
        return {part.name for part in self.parts if isinstance(part, Variable)}


@dataclass
class _Reader:
    parts: list[str] = field(default_factory=list)
    place: int = 0

    def next(self) -> str | None:
        self.place += 1
        return self.parts[self.place - 1] if self.place <= len(self.parts) else None


def parsed(query: str) -> list[str | Variable | Optional]:
    """Read a query.

    Raises:
        TemplateError: A bracket without its partner, an optional part in another or without a variable, a
            variable that has no name.
    """
    reader = _Reader(list(_parts(query)))
    found: list[str | Variable | Optional] = []
    while (part := reader.next()) is not None:
        if part == "[[":
            found.append(_optional(reader))
        elif part == "{{":
            found.append(_variable(reader))
        elif part == "}}":
            raise TemplateError("`}}` without `{{`")
        else:
            # A lone `]]` is text for Metabase: arrays of arrays end so.
            found.append(part)
    return found


def _parts(query: str) -> Iterator[str]:
    end = 0
    for match in _TOKENS.finditer(query):
        if match.start() > end:
            yield query[end : match.start()]
        yield match.group()
        end = match.end()
    if end < len(query):
        yield query[end:]


def _variable(reader: _Reader) -> Variable:
    name, end = reader.next(), reader.next()
    match = _NAME.fullmatch(name or "")
    if match is None or end != "}}":
        raise TemplateError(f"`{{{{{name}{end}` is no variable")
    return Variable(match[1])


def _optional(reader: _Reader) -> Optional:
    parts: list[str | Variable] = []
    while (part := reader.next()) != "]]":
        if part is None:
            raise TemplateError("`[[` without `]]`")
        if part == "[[":
            raise TemplateError("an optional part within another")
        if part == "}}":
            raise TemplateError("`}}` without `{{`")
        parts.append(_variable(reader) if part == "{{" else part)
    found = Optional(tuple(parts))
    if not found.names:
        raise TemplateError("an optional part without a variable")
    return found


def variables(query: str) -> set[str]:
    """Name the variables of a query."""
    parts = parsed(query)
    alone = {part.name for part in parts if isinstance(part, Variable)}
    return alone.union(*(part.names for part in parts if isinstance(part, Optional)))


def substituted(
    query: str, kinds: Mapping[str, str], values: Mapping[str, str]
) -> tuple[str, list[dt.date | str]]:
    """Put values in as Metabase does.

    Args:
        query: With variables.
        kinds: `date` or `text`, of each variable.
        values: By variable; one that is missing or empty has no value.

    Returns:
        The text with a question mark for each value, and the values as the driver binds them, in order.

    Raises:
        TemplateError: The query cannot be read, or a variable outside of `[[…]]` has no value.
    """
    given = {name: value for name, value in values.items() if value}
    bound: list[dt.date | str] = []

    def written(parts: Iterable[str | Variable | Optional]) -> Iterator[str]:
        for part in parts:
            if isinstance(part, str):
                yield part
            elif isinstance(part, Optional):
                if part.names <= set(given):
                    yield from written(part.parts)
            elif part.name not in given:
                raise TemplateError(f"no value for `{part.name}`")
            else:
                value = given[part.name]
                bound.append(dt.date.fromisoformat(value) if kinds[part.name] == "date" else value)
                yield "?"

    return "".join(written(parsed(query))), bound
