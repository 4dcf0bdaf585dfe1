"""The Kubernetes manifests, read as far as needed to know what a pod of theirs would start."""

import re
from dataclasses import dataclass
from typing import Any

import yaml

from tests.support.paths import ROOT

FOLDER = ROOT / "deploy" / "kubernetes"


@dataclass(frozen=True)
class Container:
    """The one container of a workload's pods.

    Attributes:
        workload: The manifest.
    """

    workload: dict[str, Any]

    @property
    def template(self) -> dict[str, Any]:
        """What its pods are made from."""
        return dict(self.workload["spec"]["template"])

    @property
    def pod(self) -> dict[str, Any]:
        """What its pods are to be."""
        return dict(self.template["spec"])

    @property
    def spec(self) -> dict[str, Any]:
        """What is run in them."""
        (container,) = self.pod["containers"]
        return dict(container)

    def environment(self, number: int = 0, *, address: str = "127.0.0.1") -> dict[str, str]:
        """Return the variables that are named one by one.

        Args:
            number: Of the pod in its set.
            address: Of the pod.
        """
        fields = {
            "metadata.labels['apps.kubernetes.io/pod-index']": str(number),
            "status.podIP": address,
        }
        return {
            each["name"]: each["value"]
            if "value" in each
            else fields[each["valueFrom"]["fieldRef"]["fieldPath"]]
            for each in self.spec.get("env", ())
        }

    def arguments(self, number: int = 0, *, address: str = "127.0.0.1") -> list[str]:
        """Return the words that the container is started with, `$(NAME)` replaced as Kubernetes does."""
        known = self.environment(number, address=address)
        return [
            re.sub(r"\$\((\w+)\)", lambda found: known[found[1]], word)
            for word in (*self.spec.get("command", ()), *self.spec["args"])
        ]


MANIFESTS: dict[str, dict[str, Any]] = {
    f"{path.stem}-{each['kind']}-{each['metadata'].get('name', 'generated')}": each
    for path in sorted(FOLDER.glob("*.yaml"))
    if path.name != "kustomization.yaml"
    for each in yaml.safe_load_all(path.read_text(encoding="utf-8"))
}
CONTAINERS: dict[str, Container] = {
    Container(each).spec["name"]: Container(each)
    for each in MANIFESTS.values()
    if "template" in each.get("spec", ())
}


def settings_of(kind: str) -> dict[str, str]:
    """Return the content of the one manifest of a kind that holds settings."""
    (found,) = (each for each in MANIFESTS.values() if each["kind"] == kind)
    return dict(found["data"])
