"""What must be asked of Metabase so that there is what should be there: the difference, as requests."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from batch.dashboards.metabase.dashboards import is_whole, merged
from batch.dashboards.metabase.managed_by import Wanted, mark_of, marked, ours

Verb = Literal["created", "updated", "archived"]


@dataclass(frozen=True)
class Step:
    """One change.

    Attributes:
        verb: What will have happened.
        wanted: What it is for; None if it is no longer wanted.
        name: For people.
        id: Of what is there already; None if it has to be made.
        body: Of the request.
    """

    verb: Verb
    wanted: Wanted | None
    name: str
    id: int | None
    body: Mapping[str, Any]


def plan_cards(wanted: Sequence[Wanted], found: Iterable[Mapping[str, Any]]) -> list[Step]:
    """Plan how cards come to be as they should: new ones are made, changed ones are written again.

    Args:
        wanted: All our cards.
        found: All cards on our database, anybody's.
    """
    known = ours(found)
    steps = []
    for card in wanted:
        there = known.get(card.key)
        if there is None:
            steps.append(Step("created", card, card.name, None, card.marked_body))
        elif not _is_same(card, there):
            steps.append(Step("updated", card, card.name, there["id"], card.marked_body))
    return steps


def plan_dashboards(
    wanted: Sequence[Wanted], found: Iterable[Mapping[str, Any]], *, gone: frozenset[int]
) -> list[Step]:
    """Plan how dashboards come to be as they should; those that must be made begin empty.

    Args:
        wanted: All our dashboards.
        found: All dashboards in our collection, anybody's, with their cards.
        gone: Ids of our cards that are no longer wanted.
    """
    known = ours(found)
    steps = []
    for dashboard in wanted:
        there = known.get(dashboard.key)
        if there is None:
            steps.append(Step("created", dashboard, dashboard.name, None, _empty(dashboard)))
        elif not (_is_same(dashboard, there) and is_whole(dashboard, there)):
            body = merged(dashboard.marked_body, there, gone=gone)
            steps.append(Step("updated", dashboard, dashboard.name, there["id"], body))
    return steps


def plan_removal(wanted: Sequence[Wanted], found: Iterable[Mapping[str, Any]]) -> list[Step]:
    """Plan what of ours is to be archived, since nobody wants it any more."""
    keys = {each.key for each in wanted}
    return [
        Step("archived", None, each["name"], each["id"], {"archived": True})
        for key, each in ours(found).items()
        if key not in keys
    ]


def _is_same(wanted: Wanted, found: Mapping[str, Any]) -> bool:
    mark = mark_of(found)
    return mark is not None and mark.fingerprint == wanted.fingerprint


def _empty(dashboard: Wanted) -> dict[str, Any]:
    body = dashboard.body
    return {
        "name": body["name"],
        "description": marked(body["description"], dashboard.key),
        "collection_id": body["collection_id"],
    }
