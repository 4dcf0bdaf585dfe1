"""Where the data is that ships with the program: dbt project, questions, sample logs."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def dbt_project() -> Path:
    """Return the folder of the dbt project, inside an installed wheel or in a checkout."""
    return _shipped("dbt")


def price_list() -> Path:
    """Return the list of public prices of models."""
    return dbt_project() / "seeds" / "model_prices.csv"


def questions() -> Path:
    """Return the folder of the questions that dashboards and the report answer."""
    return _shipped("questions", in_checkout="deploy/questions")


def prefect_file() -> Path:
    """Return `prefect.yaml`, of an installed wheel or of a checkout."""
    packaged = _PACKAGE / "_prefect.yaml"
    return packaged if packaged.is_file() else _PACKAGE.parent / "prefect.yaml"


def sample_logs() -> Path:
    """Return the folder of the sample logs: one folder a project, as under `~/.claude/projects`."""
    return _PACKAGE / "sample" / "projects"


def _shipped(name: str, *, in_checkout: str | None = None) -> Path:
    packaged = _PACKAGE / f"_{name}"
    return packaged if packaged.is_dir() else _PACKAGE.parent / (in_checkout or name)
