"""What all benches share: the table at the end."""

import pytest

from tests.bench.figures import FIGURES, Figures


@pytest.fixture
def figures() -> Figures:
    """Return where figures are collected."""
    return FIGURES


def pytest_terminal_summary() -> None:
    """Show what was measured."""
    FIGURES.print()
