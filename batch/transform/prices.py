"""Own prices and terms: a TOML file beside the price list that ships with the project. Pure but for reading.

The file (setting `MODEL_PRICES_FILE`, see `docs/prices.md`) has three kinds of tables, each optional:

    [[prices]]         what a model costs per million tokens, from a day on or between two
    [[discounts]]      a share off the list price of what is paid by use
    [[subscriptions]]  a fee by month, in whose days use costs nothing besides
"""

import csv
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from stream.errors import SettingsError

FIRST_DAY = date(1, 1, 1)
LAST_DAY = date(9999, 12, 31)
_DAY = timedelta(days=1)
_KINDS = ("input", "output", "cache_write_5m", "cache_write_1h", "cache_read")
# The same steps as the macro `model_family`.
_STEPS = (
    (r"^.*(claude-)", r"\1"),
    (r"[@:[].*$", ""),
    (r"[._]", "-"),
    (r"-(20\d{6}.*|latest|default)$", ""),
    (r"(-v\d+|-fast|-thinking|-preview|-beta|-1m|-minimal|-low|-medium|-high|-xhigh|-max)+$", ""),
    (r"^claude-([4-9]|[1-9]\d)(-\d+)?-([a-z]+)$", r"claude-\3-\1\2"),
    (r"^claude-([a-z]+)-(3|3-\d)$", r"claude-\2-\1"),
)

Row = Mapping[str, str | None]
Usd = Annotated[float, Field(ge=0, le=1000, allow_inf_nan=False)]


class _Period(BaseModel):
    """Something that holds from a day on, or between two, both included; UTC days."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    valid_from: date = Field(FIRST_DAY, alias="from")
    valid_to: date = Field(LAST_DAY, alias="to")

    @model_validator(mode="after")
    def _in_order(self) -> "_Period":
        if self.valid_to < self.valid_from:
            raise ValueError("`to` is before `from`")
        return self


class Price(_Period):
    """What a model costs, in US dollars per million tokens.

    What is not said of the cache follows the input as in the public list: 1.25 times to write for five
    minutes, twice for an hour, a tenth to read. Above `long_context_above` tokens of input in one request
    every kind costs its `…_long` price, which is the usual one unless said.
    """

    model: str = Field(min_length=1)
    input: Usd
    output: Usd
    cache_write_5m: Usd | None = None
    cache_write_1h: Usd | None = None
    cache_read: Usd | None = None
    long_context_above: int | None = Field(None, gt=0)
    input_long: Usd | None = None
    output_long: Usd | None = None
    cache_write_5m_long: Usd | None = None
    cache_write_1h_long: Usd | None = None
    cache_read_long: Usd | None = None
    fast_multiplier: float = Field(1, gt=0, le=10)

    def row(self) -> dict[str, str | None]:
        """Return it as a row of the price list."""
        usual = {
            "input": self.input,
            "output": self.output,
            "cache_write_5m": self.input * 1.25 if self.cache_write_5m is None else self.cache_write_5m,
            "cache_write_1h": self.input * 2 if self.cache_write_1h is None else self.cache_write_1h,
            "cache_read": self.input / 10 if self.cache_read is None else self.cache_read,
        }
        limit = self.long_context_above
        return {
            "model_family": model_family(self.model),
            **_days(self.valid_from, self.valid_to),
            **{f"{kind}_usd": repr(usual[kind]) for kind in _KINDS},
            "long_context_above_tokens": None if limit is None else str(limit),
            **{f"{kind}_long_usd": _text(getattr(self, f"{kind}_long")) for kind in _KINDS},
            "fast_multiplier": repr(self.fast_multiplier),
        }


class Discount(_Period):
    """A share off the list price, 0 to 1, of what is paid by use."""

    share: float = Field(ge=0, le=1, allow_inf_nan=False)


class Subscription(_Period):
    """A fee by calendar month; for part of a month, that part of it."""

    name: str = Field(min_length=1)
    usd_per_month: float = Field(ge=0, le=1_000_000, allow_inf_nan=False)


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    prices: list[Price] = []
    discounts: list[Discount] = []
    subscriptions: list[Subscription] = []

    @model_validator(mode="after")
    def _apart(self) -> "_File":
        for model in {model_family(price.model) for price in self.prices}:
            same = [price for price in self.prices if model_family(price.model) == model]
            _require_apart(f"prices of `{model}`", same)
        _require_apart("discounts", self.discounts)
        return self


@dataclass(frozen=True)
class Terms:
    """What the build is to know beside the shipped price list.

    Attributes:
        prices: The whole list with own prices merged in; empty if there are none.
        discounts: As `share`, `valid_from`, `valid_to`.
        subscriptions: As `name`, `usd_per_month`, `valid_from`, `valid_to`.
    """

    prices: Sequence[Row] = ()
    discounts: Sequence[Mapping[str, Any]] = field(default_factory=list)
    subscriptions: Sequence[Mapping[str, Any]] = field(default_factory=list)

    def variables(self) -> dict[str, Any]:
        """Return them as variables of the dbt project; none that says nothing, which dbt would parse for."""
        found = {
            "model_prices": list(self.prices),
            "discounts": list(self.discounts),
            "subscriptions": list(self.subscriptions),
        }
        return {name: value for name, value in found.items() if value}


def read_terms(path: Path, price_list: Path) -> Terms:
    """Read a file of own prices and terms.

    Args:
        path: The file.
        price_list: The price list that ships with the project.

    Raises:
        SettingsError: It cannot be read, or says something that does not fit.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise _unusable(path, getattr(error, "strerror", None) or "it is no UTF-8 text") from error
    try:
        own = _File.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise _unusable(path, f"it is no TOML: {error}") from error
    except ValidationError as error:
        raise _unusable(path, _reason(error)) from error
    with price_list.open(encoding="utf-8", newline="") as file:
        listed = [{name: value or None for name, value in row.items()} for row in csv.DictReader(file)]
    return Terms(
        merged(listed, own.prices) if own.prices else (),
        [{"share": each.share, **_ends(each)} for each in own.discounts],
        [
            {"name": each.name, "usd_per_month": each.usd_per_month, **_ends(each)}
            for each in own.subscriptions
        ],
    )


def merged(listed: Iterable[Row], own: Sequence[Price]) -> list[Row]:
    """Put own prices in the place of the list's, for their models and days; the list's stay for the rest."""
    rows: list[Row] = []
    for row in listed:
        pieces = [(date.fromisoformat(row["valid_from"] or ""), _last_day(row["valid_to"]))]
        for price in own:
            if model_family(price.model) == row["model_family"]:
                pieces = [left for piece in pieces for left in _without(piece, price)]
        rows += [{**row, **_days(*piece)} for piece in pieces]
    return rows + [price.row() for price in own]


def model_family(model: str) -> str:
    """Return the name of a model as the price list has it; see the macro of that name."""
    name = model.lower()
    if "claude-" in name:
        for pattern, replacement in _STEPS:
            name = re.sub(pattern, replacement, name)
    return name


def _without(piece: tuple[date, date], price: Price) -> list[tuple[date, date]]:
    """Return what is left of a period outside a price's."""
    first, last = piece
    if price.valid_to < first or price.valid_from > last:
        return [piece]
    before = [(first, price.valid_from - _DAY)] if price.valid_from > first else []
    after = [(price.valid_to + _DAY, last)] if price.valid_to < last else []
    return before + after


def _require_apart(what: str, periods: Sequence[_Period]) -> None:
    for earlier, later in pairwise(sorted(periods, key=lambda period: period.valid_from)):
        if later.valid_from <= earlier.valid_to:
            raise ValueError(f"two {what} hold on {later.valid_from}")


def _days(first: date, last: date) -> dict[str, str | None]:
    return {"valid_from": first.isoformat(), "valid_to": None if last == LAST_DAY else last.isoformat()}


def _ends(period: _Period) -> dict[str, str]:
    return {"valid_from": period.valid_from.isoformat(), "valid_to": period.valid_to.isoformat()}


def _last_day(text: str | None) -> date:
    return date.fromisoformat(text) if text else LAST_DAY


def _text(value: float | None) -> str | None:
    return None if value is None else repr(value)


def _unusable(path: Path, reason: str) -> SettingsError:
    return SettingsError(
        f"MODEL_PRICES_FILE `{path}` cannot be used: {reason}",
        hint="mend the file; `docs/prices.md` shows how it is written",
    )


def _reason(error: ValidationError) -> str:
    """Name the place of each problem, entries counted from 1: `prices 2, input: …`."""
    found = []
    for problem in error.errors():
        place = " ".join(str(part + 1) if isinstance(part, int) else part for part in problem["loc"][:2])
        name = ", ".join(str(part) for part in problem["loc"][2:])
        text = problem["msg"].removeprefix("Value error, ")
        found.append(
            ": ".join(each for each in (", ".join(each for each in (place, name) if each), text) if each)
        )
    return "; ".join(found)
