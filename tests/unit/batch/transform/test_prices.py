"""Own prices and terms: what a file may say, what its mistakes are called, how it is merged with the list."""

import csv
from datetime import date
from itertools import pairwise
from pathlib import Path

import pytest

from batch.shipped import price_list
from batch.transform.prices import Price, merged, model_family, read_terms
from stream.errors import SettingsError

PRICE = "[[prices]]\nmodel = 'a'\n"
ONE_EACH = "input = 1\noutput = 1\n"
TWO_PRICES = f"[[prices]]\nmodel = 'A'\n{ONE_EACH}{PRICE}from = 2026-01-01\n{ONE_EACH}"
LISTED = {"model_family": "claude-opus-5", "valid_from": "0001-01-01", "valid_to": None, "input_usd": "5"}


def price(first: str, last: str = "9999-12-31", model: str = "claude-opus-5") -> Price:
    return Price.model_validate({"model": model, "from": first, "to": last, "input": 1, "output": 2})


def periods(rows: list[dict[str, str | None]]) -> list[tuple[str | None, str | None, str | None]]:
    return sorted((row["valid_from"], row["valid_to"], row["input_usd"]) for row in rows)  # type: ignore[type-var]


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [
        ("0001-01-01", "9999-12-31", [("0001-01-01", None, "1.0")]),
        ("2026-01-01", "9999-12-31", [("0001-01-01", "2025-12-31", "5"), ("2026-01-01", None, "1.0")]),
        ("0001-01-01", "2026-01-01", [("0001-01-01", "2026-01-01", "1.0"), ("2026-01-02", None, "5")]),
        (
            "2026-01-01",
            "2026-01-31",
            [
                ("0001-01-01", "2025-12-31", "5"),
                ("2026-01-01", "2026-01-31", "1.0"),
                ("2026-02-01", None, "5"),
            ],
        ),
    ],
    ids=["always", "from", "until", "between"],
)
def test_an_own_price_takes_its_days(first: str, last: str, expected: list[tuple[str, ...]]) -> None:
    """The list's price holds on all others, and each day has one."""
    assert expected == periods(merged([LISTED], [price(first, last)]))  # type: ignore[arg-type]


def test_other_models_keep_their_prices() -> None:
    """A price is of one model, however the log spells it."""
    rows = merged([LISTED], [price("0001-01-01", model="gpt-9")])
    assert ["claude-opus-5", "gpt-9"] == sorted(row["model_family"] or "" for row in rows)
    assert ["claude-opus-5"] == [
        row["model_family"]
        for row in merged([LISTED], [price("0001-01-01", model="anthropic/claude-opus-5")])
    ]


def test_a_file_is_read(tmp_path: Path) -> None:
    """Prices are merged into the whole list; what is not said of the cache follows the input."""
    path = tmp_path / "prices.toml"
    path.write_text(
        """
        [[prices]]
        model = "GPT-9.5"
        from = 2026-02-01
        input = 4
        output = 12
        cache_read = 1

        [[discounts]]
        share = 0.15

        [[subscriptions]]
        name = "Team"
        usd_per_month = 150
        from = 2026-03-01
        to = 2026-03-31
        """
    )
    terms = read_terms(path, price_list())
    [own] = [row for row in terms.prices if row["model_family"] == "gpt-9.5"]
    kinds = ("input", "cache_write_5m", "cache_write_1h", "cache_read", "input_long")
    assert "2026-02-01" == own["valid_from"]
    assert ["4.0", "5.0", "8.0", "1.0", None] == [own[f"{kind}_usd"] for kind in kinds]
    assert len(terms.prices) > 20
    assert [{"share": 0.15, "valid_from": "0001-01-01", "valid_to": "9999-12-31"}] == terms.variables()[
        "discounts"
    ]
    assert [
        {"name": "Team", "usd_per_month": 150, "valid_from": "2026-03-01", "valid_to": "2026-03-31"}
    ] == terms.variables()["subscriptions"]


def test_an_empty_file_changes_nothing(tmp_path: Path) -> None:
    """Then dbt gets no variable, and need not parse the project again."""
    path = tmp_path / "prices.toml"
    path.write_text("")
    assert {} == read_terms(path, price_list()).variables()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (f"{PRICE}input = -1\noutput = 1", "prices 1, input: Input should be greater than or equal"),
        (f"{PRICE}input = 1", "prices 1, output: Field required"),
        (f"{PRICE}input = nan\noutput = 1", "prices 1, input: Input should be a finite number"),
        (f"{PRICE}input = 1\noutput = 1\nprice = 2", "prices 1, price: Extra inputs are not permitted"),
        (f"{PRICE}input = 1\noutput = 1\nfrom = 2026-02-01\nto = 2026-01-01", "prices 1: `to` is before"),
        (TWO_PRICES, "two prices of `a` hold on 2026-01-01"),
        ("[[discounts]]\nshare = 1.5", "discounts 1, share: Input should be less than or equal to 1"),
        ("[[discounts]]\nshare = 0.1\n[[discounts]]\nshare = 0.2", "two discounts hold on 0001-01-01"),
        ("[[subscriptions]]\nname = 'x'", "subscriptions 1, usd_per_month: Field required"),
        ("price = 1", "price: Extra inputs are not permitted"),
        ("[[prices", "it is no TOML: "),
    ],
)
def test_mistakes_are_named(text: str, reason: str, tmp_path: Path) -> None:
    """The place, counted as people count, and the rule."""
    path = tmp_path / "prices.toml"
    path.write_text(text)
    with pytest.raises(SettingsError) as raised:
        read_terms(path, price_list())
    assert f"MODEL_PRICES_FILE `{path}` cannot be used: {reason}" in raised.value.message
    assert "docs/prices.md" in raised.value.hint


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    """Neither a missing one nor one that is no text."""
    with pytest.raises(SettingsError, match="No such file"):
        read_terms(tmp_path / "none.toml", price_list())
    (tmp_path / "bytes.toml").write_bytes(b"\xff")
    with pytest.raises(SettingsError, match="no UTF-8"):
        read_terms(tmp_path / "bytes.toml", price_list())


def test_the_shipped_list_has_one_price_a_day() -> None:
    """No two rows of a model share a day, and names are in the form that logs' names are brought to."""
    rows = merged([], [])
    assert [] == rows
    with price_list().open(newline="") as file:
        listed = list(csv.DictReader(file))
    assert [] == [
        row["model_family"] for row in listed if model_family(row["model_family"]) != row["model_family"]
    ]
    spans = sorted(
        (
            row["model_family"],
            date.fromisoformat(row["valid_from"]),
            date.fromisoformat(row["valid_to"] or "9999-12-31"),
        )
        for row in listed
    )
    overlapping = [one for one, other in pairwise(spans) if one[0] == other[0] and one[2] >= other[1]]
    assert [] == overlapping
