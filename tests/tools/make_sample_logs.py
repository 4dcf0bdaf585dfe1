"""Writes the sample logs that ship with the project, from the stories in `tests/tools/sample_logs/stories/`.

Deterministic: no clock, and chance is seeded by each story's name, so the same stories give the same bytes.

    python tests/tools/make_sample_logs.py                      # writes batch/sample/projects
    python tests/tools/make_sample_logs.py --output DIR --truth FILE
"""

import argparse
import json
import shutil
from pathlib import Path

from sample_logs.screenplay import read_stories
from sample_logs.stage import play_all

_HERE = Path(__file__).resolve().parent
_PROJECTS = {
    "saffron-shop": "/home/ana/code/saffron-shop",
    "tideline": "/home/dev/work/tideline",
    "harbor-infra": "/home/dev/work/harbor-infra",
    "demand-forecast": "/home/ana/notebooks/demand-forecast",
    "stocktake": "C:\\Users\\kim\\source\\stocktake",
}


def main() -> None:
    """Write the logs, and on request what the generator counted."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", type=Path, default=_HERE.parents[1] / "batch" / "sample" / "projects")
    parser.add_argument("--truth", type=Path)
    options = parser.parse_args()
    files, truth = play_all(read_stories(_HERE / "sample_logs" / "stories"), _PROJECTS)
    if options.output.exists():
        shutil.rmtree(options.output)
    for path, content in files.items():
        target = options.output / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(content, encoding="utf-8", newline="\n")
    if options.truth:
        options.truth.write_text(json.dumps(truth.as_json(), indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
