"""In which order checks are asked."""

from types import SimpleNamespace

from batch.transform.kept_checks import upstream_first


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
