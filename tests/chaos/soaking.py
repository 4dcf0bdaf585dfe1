"""Figures of the long runs, for whoever asks."""

from collections.abc import Mapping


def as_table(figures: Mapping[str, object]) -> str:
    """Lay figures out for people: one a line."""
    width = max(len(name) for name in figures)
    return "\n".join(f"{name:<{width}}  {value}" for name, value in figures.items())
