"""Writes `gx/`, the project of Great Expectations, from the suites: `python -m tests.gx_project`."""

from batch.shipped import gx_project
from batch.validate.project import project_files


def main() -> None:
    """Write every file anew."""
    for name, content in project_files().items():
        path = gx_project() / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")


if __name__ == "__main__":
    main()
