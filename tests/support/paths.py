"""Where things are in the checkout, and the logs beside it."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared"
"""Real logs, where this checkout has them beside it; tests that use them skip without."""
DATA = ROOT / "tests" / "data"
