"""What `make audit` says about licences, without any network."""

import pytest

from tests.tools.audit import ROOT, installed_with, is_binding, licence_of


@pytest.mark.parametrize(
    ("licence", "expected"),
    [
        ("MIT", False),
        ("Apache-2.0", False),
        ("MPL-2.0", False),
        ("GNU Library or Lesser General Public License (LGPL)", False),
        ("GPL-3.0", True),
        ("AGPL-3.0-only", True),
        ("GNU General Public License v2 or later (GPLv2+)", True),
    ],
)
def test_a_licence_that_binds_is_told(licence: str, expected: bool) -> None:  # noqa: FBT001
    """Such a package must not come along with an installation."""
    assert expected == is_binding("some-package", licence)


def test_everything_that_comes_along_may_be_used() -> None:
    """All packages below ours, found by what they say they need."""
    names = installed_with(ROOT)
    assert {"duckdb", "pymongo", "detect-secrets", "agate"} <= names
    assert ROOT not in names
    assert [] == [name for name in names if is_binding(name, licence_of(name))]
