"""What must be true of the Kubernetes manifests; no cluster is needed."""

from collections.abc import Iterator
from typing import Any

import kubernetes_validate
import pytest
import yaml

from batch.settings import PipelineSettings, Settings
from stream.settings import MetricsSettings
from tests.support.kubernetes import CONTAINERS, FOLDER, MANIFESTS, Container, settings_of
from tests.support.paths import ROOT

OLDEST, NEWEST = "1.29", "1.37"
"""Versions of Kubernetes. Pods know their number since 1.28, whose published schema is wrong about jobs."""
KUSTOMIZATION: dict[str, Any] = yaml.safe_load((FOLDER / "kustomization.yaml").read_text(encoding="utf-8"))
VERSION = yaml.safe_load((ROOT / "deploy" / "docker-compose.yml").read_text(encoding="utf-8"))["services"][
    "stream"
]["image"].partition(":")[2]


def of_kind(kind: str) -> dict[str, dict[str, Any]]:
    """Return the manifests of a kind by name."""
    return {each["metadata"].get("name", ""): each for each in MANIFESTS.values() if each["kind"] == kind}


def labels_of_pods() -> Iterator[dict[str, str]]:
    """Yield the labels of each kind of pod."""
    for container in CONTAINERS.values():
        yield container.template["metadata"]["labels"]


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
@pytest.mark.parametrize("name", MANIFESTS)
def test_manifests_have_the_published_form(name: str, version: str) -> None:
    """Strictly: a field that Kubernetes does not know is a misspelt one."""
    manifest = dict(MANIFESTS[name])
    manifest["metadata"] = {"name": "made-up", **manifest["metadata"]}
    kubernetes_validate.validate(manifest, version, strict=True)


def test_everything_is_applied_or_made_by_hand() -> None:
    """One call applies all files but the backfill, which runs once."""
    files = {path.name for path in FOLDER.glob("*.yaml")} - {"kustomization.yaml"}
    assert files - {"backfill.yaml"} == set(KUSTOMIZATION["resources"])
    namespaces = {each["metadata"]["namespace"] for each in MANIFESTS.values() if each["kind"] != "Namespace"}
    assert {KUSTOMIZATION["namespace"]} == namespaces == set(of_kind("Namespace"))


@pytest.mark.parametrize("name", CONTAINERS)
def test_nothing_is_root_or_without_limits(name: str) -> None:
    """As the restricted profile of the namespace asks for, and a root file system that nobody writes."""
    container = CONTAINERS[name]
    pod = container.pod["securityContext"]
    assert pod["runAsNonRoot"] is True
    assert pod["runAsUser"] == pod["runAsGroup"] == 10001
    assert {"type": "RuntimeDefault"} == pod["seccompProfile"]
    assert container.pod["automountServiceAccountToken"] is False
    assert {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    } == container.spec["securityContext"]
    assert {"memory"} == set(container.spec["resources"]["limits"])
    assert {"cpu", "memory"} == set(container.spec["resources"]["requests"])
    assert "/tmp" in {mount["mountPath"] for mount in container.spec["volumeMounts"]}


@pytest.mark.parametrize("name", CONTAINERS)
def test_what_a_pod_names_is_there(name: str) -> None:
    """ConfigMap, account, volumes and claims; the Secret is made by a person, under its documented name."""
    container = CONTAINERS[name]
    volumes = {volume["name"]: volume for volume in container.pod["volumes"]}
    assert set(volumes) == {mount["name"] for mount in container.spec["volumeMounts"]}
    for source in container.spec.get("envFrom", ()):
        assert source in (
            {"configMapRef": {"name": "claude-analytics"}},
            {"secretRef": {"name": "object-store", "optional": True}},
        )
    assert {"claude-analytics"} == set(of_kind("ConfigMap")) == set(of_kind("ServiceAccount"))
    assert "claude-analytics" == container.pod.get("serviceAccountName", "claude-analytics")
    for volume in volumes.values():
        if claim := volume.get("persistentVolumeClaim"):
            assert claim["claimName"] in of_kind("PersistentVolumeClaim")
        assert "claude-analytics" == volume.get("secret", {"secretName": "claude-analytics"})["secretName"]


def test_selectors_select() -> None:
    """Services and the network policy name labels that pods have, as each workload does of its own pods."""
    pods = list(labels_of_pods())
    for service in of_kind("Service").values():
        assert any(service["spec"]["selector"].items() <= labels.items() for labels in pods)
    for container in CONTAINERS.values():
        if selector := container.workload["spec"].get("selector"):
            assert selector["matchLabels"].items() <= container.template["metadata"]["labels"].items()
    (policy,) = of_kind("NetworkPolicy").values()
    closed = policy["spec"]["podSelector"]["matchLabels"]
    guarded = [labels["app.kubernetes.io/name"] for labels in pods if closed.items() <= labels.items()]
    assert ["spark-master", "spark-worker"] == sorted(guarded)
    (rule,) = policy["spec"]["ingress"]
    allowed = rule["from"][0]["podSelector"]["matchExpressions"][0]["values"]
    assert {"schedule", "spark-master", "spark-worker"} == set(allowed)


def test_images_are_of_this_version() -> None:
    """The kustomization says where they are; the job that it does not apply says so itself."""
    assert [{"name": "claude-analytics-lake", "newTag": VERSION}] == KUSTOMIZATION["images"]
    for name, container in CONTAINERS.items():
        tag = f":{VERSION}" if name == "backfill" else ""
        assert container.spec["image"] == f"claude-analytics-lake{tag}"


def test_there_is_a_worker_for_each_partition() -> None:
    """As many replicas as STREAM_PARTITIONS, each with its own number."""
    replicas = CONTAINERS["stream"].workload["spec"]["replicas"]
    assert settings_of("ConfigMap")["STREAM_PARTITIONS"] == str(replicas)
    assert [CONTAINERS["stream"].arguments(number) for number in range(replicas)] == [
        ["stream", "--partition", str(number)] for number in range(replicas)
    ]


def test_every_setting_is_one_of_ours(clean_environment: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or of the S3 client; and all together are accepted."""
    known = {name.removesuffix("_FILE") for name in settings_of("ConfigMap")} - {"AWS_REGION"}
    page = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    assert [] == [name for name in sorted(known) if f"`{name}`" not in page]
    for name, value in settings_of("ConfigMap").items():
        if not name.endswith("_FILE"):
            monkeypatch.setenv(name, value)
    monkeypatch.setenv("CATALOG_URI", "postgresql://lake@catalog/lake")
    settings = Settings.from_environment()
    assert settings.lake.is_iceberg


def test_ports_are_those_of_the_settings() -> None:
    """Where metrics are looked for, and where the probes knock."""
    expected = {"stream": MetricsSettings().port, "schedule": PipelineSettings().metrics_port}
    for name, port in expected.items():
        container: Container = CONTAINERS[name]
        assert [{"name": "metrics", "containerPort": port}] == container.spec["ports"]
        assert container.template["metadata"]["annotations"]["prometheus.io/port"] == str(port)
        assert {"port": "metrics"} == container.spec["livenessProbe"]["tcpSocket"]
