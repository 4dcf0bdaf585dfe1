"""A build that dies: kills its own process with SIGKILL when a model's transaction is about to be committed.

python dbt_killed_build.py WAREHOUSE DATA_DIR MODEL
"""

import os
import signal
import sys
from pathlib import Path
from typing import Any

from batch.transform.dbt_project import DbtProject
from tests.support.marts import overlook_the_file


class Killer:
    """Waits until a model has its new rows, and the build is noted, in a transaction that is still open."""

    def __init__(self, model: str) -> None:
        self._model = model
        self._is_noted = False

    def __call__(self, event: Any) -> None:
        """Look at what dbt does; the last look kills."""
        node = getattr(event.data, "node_info", None)
        if node is None or node.node_name != self._model:
            return
        if event.info.name == "SQLQuery" and "insert into ops.model_builds" in event.data.sql:
            self._is_noted = True
        elif event.info.name == "SQLCommit" and self._is_noted:
            os.kill(os.getpid(), signal.SIGKILL)


def main(warehouse: str, data_dir: str, model: str) -> None:
    """Build, and die on the way."""
    overlook_the_file()
    # As that of a `MartsWarehouse`: at other settings dbt parses all again, here and in the next build.
    project = DbtProject(warehouse=Path(warehouse), data_dir=Path(data_dir), threads=2, memory_limit="2GB")
    # What comes after the model is not reached anyway, and what is beside it is no part of its transaction.
    selected = ("--select", f"+{model}", "--exclude-resource-types", "test", "unit_test")
    arguments = project.arguments("build", *selected, "--no-write-json")
    project.invoke(arguments, on_event=Killer(model))


if __name__ == "__main__":
    main(*sys.argv[1:])
