"""In which order checks are asked, and how."""

from types import SimpleNamespace

import duckdb

from batch.transform.kept_checks import Check, ask, upstream_first


def result(name: str, *depends_on: str) -> SimpleNamespace:
    return SimpleNamespace(node=SimpleNamespace(unique_id=name, depends_on_nodes=list(depends_on)))


def test_checks_are_asked_from_the_sources_on() -> None:
    """A check comes behind all that it looks at; among equals dbt's own order stays."""
    built = [result("staging"), result("mart"), result("aggregate")]
    checks = [
        result("agree", "mart", "aggregate"),
        result("mart_refers_to_staging", "mart", "staging"),
        result("mart_is_unique", "mart"),
        result("source_is_unique", "source"),
        result("of_nothing"),
        result("staging_is_unique", "staging"),
    ]
    assert [
        "source_is_unique",
        "of_nothing",
        "staging_is_unique",
        "mart_refers_to_staging",
        "mart_is_unique",
        "agree",
    ] == [each.node.unique_id for each in upstream_first(checks, built)]


def check(number: int) -> Check:
    """Return a check that so many rows break: two of them are no error, one is not even a warning."""
    return Check(
        name=f"check_{number}",
        query=f"select * from range({number})",
        failures="count(*)",
        warn_if="> 1",
        error_if="> 2",
        is_error=True,
        compiled_path="",
        reads_views=False,
    )


def test_many_checks_are_asked_at_a_time() -> None:
    """Each has its own answer, in the order in which they are given, however many there are."""
    counts = [0, 3, 1, 2, *range(4, 80), 0]
    with duckdb.connect() as connection:
        results = ask(connection, [check(number) for number in counts])
        assert [] == ask(connection, [])
    assert [f"check_{number}" for number in counts] == [result.check.name for result in results]
    assert ["pass", "fail", "pass", "warn"] == [result.status for result in results[:4]]
    assert {"fail"} == {result.status for result in results[4:-1]}
    assert "Got 79 results, configured to fail if > 2" == results[-2].message
    assert "pass" == results[-1].status
