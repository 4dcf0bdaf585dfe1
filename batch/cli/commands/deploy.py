"""Create the deployments of `prefect.yaml`, and their work pool, on a Prefect server."""

from batch.cli.prefect import deploy_all


def command() -> None:
    deploy_all()
