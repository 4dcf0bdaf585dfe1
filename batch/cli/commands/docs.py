"""Serve the documentation of all models and columns on this machine until Ctrl-C."""

from typing import Annotated

import typer

from batch.cli.context import Context
from batch.cli.cycle import make_dbt_project
from batch.transform.docs import generate_docs, serving_docs


def command(
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to serve on; 0: any free port.")] = 8080,
    host: Annotated[
        str, typer.Option(help="Address to listen on; the site has no authentication.")
    ] = "127.0.0.1",
    only_write: Annotated[
        bool, typer.Option("--only-write", help="Write the site and print its path; do not serve it.")
    ] = False,
) -> None:
    context = Context.from_environment(quiet=True)
    timeout_seconds = context.settings.duckdb.lease_timeout_seconds
    with context.console.status("describing the models …"):
        index = generate_docs(
            make_dbt_project(context), lease=context.warehouse.lock.held(timeout_seconds=timeout_seconds)
        )
    context.console.print(f"the site is {index}", soft_wrap=True)
    if only_write:
        return
    with serving_docs(index, host=host, port=port) as server:
        context.console.print(f"served on http://{host}:{server.server_port}; Ctrl-C ends it")
        server.serve_forever()
