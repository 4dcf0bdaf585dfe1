"""The report's colours stay apart for whoever sees them otherwise, and stand out from their card."""

import re
from itertools import combinations

import pytest

from batch.dashboards.metabase.visuals import COLOURS
from tests.support.paths import ROOT

STYLE = ROOT / "batch" / "dashboards" / "report" / "assets" / "report.css"
Triple = tuple[float, float, float]
# Machado, Oliveira, Fernandes 2009, at full severity, on linear RGB.
SEEN_BY: dict[str, tuple[Triple, Triple, Triple]] = {
    "everybody": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "protanopia": (
        (0.152286, 1.052583, -0.204868),
        (0.114503, 0.786281, 0.099216),
        (-0.003882, -0.048116, 1.051998),
    ),
    "deuteranopia": (
        (0.367322, 0.860646, -0.227968),
        (0.280085, 0.672501, 0.047413),
        (-0.011820, 0.042940, 0.968881),
    ),
    "tritanopia": (
        (1.255528, -0.076749, -0.178779),
        (-0.078411, 0.930809, 0.147602),
        (0.004733, 0.691367, 0.303900),
    ),
}
# A difference that is seen at a glance; 2.3 is one that is just noticed.
APART = 15.0


def palette(theme: str) -> dict[str, str]:
    """Return the colours of a theme by name."""
    light, dark = STYLE.read_text(encoding="utf-8").split(':root[data-theme="dark"]', 1)
    return dict(re.findall(r"--([a-z0-9-]+): (#[0-9a-f]{6})\b", light if theme == "light" else dark))


def linear(colour: str) -> Triple:
    """Return the light of a colour."""
    parts = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    red, green, blue = (
        each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4 for each in parts
    )
    return red, green, blue


def lab(light: Triple) -> Triple:
    """Return a colour in a space where distances are those that are seen."""
    red, green, blue = (min(max(each, 0.0), 1.0) for each in light)
    xyz = (
        (0.4124 * red + 0.3576 * green + 0.1805 * blue) / 0.95047,
        0.2126 * red + 0.7152 * green + 0.0722 * blue,
        (0.0193 * red + 0.1192 * green + 0.9505 * blue) / 1.08883,
    )
    x, y, z = (each ** (1 / 3) if each > 0.008856 else 7.787 * each + 16 / 116 for each in xyz)
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


def seen(colour: str, eyes: str) -> Triple:
    """Return a colour as these eyes see it."""
    light = linear(colour)
    red, green, blue = (
        sum(share * part for share, part in zip(row, light, strict=True)) for row in SEEN_BY[eyes]
    )
    return lab((red, green, blue))


def distance(one: Triple, other: Triple) -> float:
    """Return how different two colours look."""
    return sum((a - b) ** 2 for a, b in zip(one, other, strict=True)) ** 0.5


@pytest.mark.parametrize("eyes", SEEN_BY)
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_series_and_tones_stay_apart(theme: str, eyes: str) -> None:
    """No two colours of one chart look the same: projects and models, or how calls ended."""
    colours = palette(theme)
    for names in (
        [*(f"c{place}" for place in range(7)), "rest"],
        ["good", "bad", "caution", "muted"],
        ["heat-0", "heat-1", "heat-2", "heat-3"],
    ):
        near = {
            (one, other): round(distance(seen(colours[one], eyes), seen(colours[other], eyes)), 1)
            for one, other in combinations(names, 2)
        }
        assert {} == {pair: apart for pair, apart in near.items() if apart < APART}


def test_metabase_has_the_same_colours() -> None:
    """A figure has one colour, wherever it is shown."""
    colours = palette("light")
    assert [colours[f"c{place}"].upper() for place in range(len(COLOURS))] == list(COLOURS)


@pytest.mark.parametrize(
    ("text", "ground", "least"),
    [("text", "card", 7), ("quiet", "card", 4.5), ("quiet", "page", 4.5), ("accent", "card", 4.5)],
)
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_is_readable(theme: str, text: str, ground: str, least: float) -> None:
    """Contrast is that of WCAG 2.2: 4.5 for all text, 7 for what matters most."""
    colours = palette(theme)
    lights = sorted(
        0.2126 * red + 0.7152 * green + 0.0722 * blue
        for red, green, blue in (linear(colours[text]), linear(colours[ground]))
    )
    assert (lights[1] + 0.05) / (lights[0] + 0.05) >= least
