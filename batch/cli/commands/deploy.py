"""Make the deployments of `prefect.yaml`, and the work pool that runs them, on a Prefect server."""

from batch.cli.prefect import deploy_all


def command() -> None:
    deploy_all()
