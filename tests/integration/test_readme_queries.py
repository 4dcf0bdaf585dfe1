"""The questions that the README asks of the sample have the answers that it shows."""

import re

import pytest

from tests.support.marts import MartsWarehouse
from tests.support.paths import ROOT

pytestmark = pytest.mark.integration

BLOCK = re.compile(r"^```sql\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def shown() -> list[tuple[str, list[list[str]]]]:
    """Each query, and the rows that are shown below it as comments, their values two spaces apart."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    examples = [example for block in BLOCK.findall(text) for example in block.split("\n\n")]
    return [
        (query, [re.split(r" {2,}", line) for line in re.findall(r"^-- (.+)$", answer, flags=re.MULTILINE)])
        for query, _, answer in (example.partition(";\n") for example in examples)
    ]


@pytest.mark.parametrize(("query", "rows"), shown(), ids=["projects", "branches", "tools"])
def test_the_readme_s_answers_are_right(
    query: str, rows: list[list[str]], sample_marts: MartsWarehouse
) -> None:
    """Whoever copies a query after `make demo` sees the same."""
    assert rows == [[str(value) for value in row] for row in sample_marts.rows(query)]
