"""Run the embedded MongoDB (a real mongod, a replica set of one) until Ctrl-C.

Commands with the same DATA_DIR find it by themselves, unless MONGO_URI is set.
"""

import threading

from batch.cli.context import Context
from batch.mongod.replica_set import EmbeddedMongo


def command() -> None:
    context = Context.from_environment()
    with EmbeddedMongo(context.mongo_dir) as embedded:
        context.console.print(f"MongoDB runs on [bold]{embedded.uri}[/]")
        context.console.print(f"its files are in {context.mongo_dir}; Ctrl-C stops it")
        threading.Event().wait()
