"""A container engine where there is no Docker: podman by docker's words, without daemon, registry, systemd.

    engine.py compose …      podman-compose, as `docker compose`
    engine.py anything else  podman

podman-compose calls this program in place of podman. It adds what such a machine needs: limits that the
kernel grants, builds in a chroot, pip's configuration and certificates of the machine (mounted, so that no
image holds them), and it runs the health checks, which podman leaves to systemd's timers. ENGINE_HOME is the
folder of all images, containers and networks; the base images are there already, nothing is ever pulled.
"""

import functools
import hashlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tests.support.patience import patience

PAUSE_SECONDS = 0.5
# Compose asks for ever whether what it depends on is healthy; what takes longer than this is not. Images are
# built before, which takes the time that downloads take.
_COMPOSE_SECONDS = 900
_ONE_CALL_SECONDS = 3600
_GATEWAY = ":host-gateway"
# As with Docker, a read-only root has no folders in memory but those that are asked for.
_AS_DOCKER = ("--read-only-tmpfs=false",)
# Since this version podman can wait for health itself, and podman-compose leaves it to podman to do so.
_VERSION = "podman version 4.9.0"


def home() -> Path:
    """Return the folder of everything."""
    return Path(os.environ["ENGINE_HOME"])


def podman(*arguments: str) -> list[str]:
    """Return a command of podman on this home."""
    return [
        *("podman", "--log-level=error", "--storage-driver", (home() / "driver").read_text(encoding="utf-8")),
        *("--root", str(home() / "storage"), "--runroot", str(home() / "run")),
        *arguments,
    ]


def environment() -> dict[str, str]:
    """Return the environment of podman: health checks without systemd, builds without namespaces."""
    own = {"CONTAINERS_CONF": str(home() / "containers.conf"), "DISABLE_HC_SYSTEMD": "true"}
    return os.environ | own | {"BUILDAH_ISOLATION": "chroot"}


def building(arguments: list[str]) -> list[str]:
    """Return the arguments of a build: in Docker's format, which knows health checks, from images at hand."""
    kept = [each for each in arguments if not each.startswith("--pull") and each != "--no-cache"]
    mounts = [
        word
        for line in (home() / "build-mounts").read_text(encoding="utf-8").splitlines()
        for word in ("--volume", line)
    ]
    return ["build", "--format", "docker", "--layers", "--pull=never", *mounts, *kept]


def _once(what: tuple[str, ...], action: Callable[[], int]) -> int:
    """Do something unless the same call of compose has done it before; gives its exit code."""
    done = home() / "done" / f"{os.getppid()}-{hashlib.sha256(repr(what).encode()).hexdigest()[:12]}"
    if done.exists() and time.time() - done.stat().st_mtime < _ONE_CALL_SECONDS:
        return 0
    code = action()
    if code == 0:
        done.parent.mkdir(exist_ok=True)
        done.touch()
    return code


def _own_address() -> str:
    """Return the address of this machine, by which containers reach it: this podman knows no word for it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        # Nothing is sent: the kernel only chooses the way.
        probe.connect(("192.0.2.1", 9))
        address: str = probe.getsockname()[0]
    return address


def wait_healthy(name: str) -> int:
    """Wait until a container is healthy, or runs if it has no health check, or compose has ended."""
    compose = os.getppid()
    while os.getppid() == compose:
        # Neither one that does not exist is waited for, nor one without a check.
        if _health(name) in {"", "no such container", "no defined healthcheck"}:
            return 0
        time.sleep(PAUSE_SECONDS)
    return 1


def _health(name: str) -> str:
    """Run the health check of a container; gives nothing if it is healthy, else why not."""
    check = podman("healthcheck", "run", name)
    checked = subprocess.run(check, env=environment(), capture_output=True, text=True, check=False)
    known = (each for each in ("no such container", "no defined healthcheck") if each in checked.stderr)
    return "" if checked.returncode == 0 else next(known, checked.stdout + checked.stderr or "unhealthy")


def compose(arguments: list[str]) -> int:
    """Run compose to its end; one that does not come to it says how each container is."""
    # One after the other: services of one image would each build it, rather than find it built.
    one = ["--parallel", "1"] if {"build", "--build"} & set(arguments) else []
    me = str(home() / "engine")
    command = [sys.executable, "-m", "podman_compose", "--podman-path", me, *one, *arguments]
    seconds = None if "build" in arguments else patience(_COMPOSE_SECONDS)
    try:
        return subprocess.run(command, env=environment(), check=False, timeout=seconds).returncode
    except subprocess.TimeoutExpired:
        sys.stderr.write(f"compose has not ended within {seconds:.0f} seconds:\n")
    shown = "{{.Name}} {{.State.Status}} {{json .State.Health}}"
    listed = subprocess.run(
        podman("ps", "--all", "--quiet"), env=environment(), capture_output=True, text=True, check=False
    )
    inspect = podman("inspect", "--format", shown, *listed.stdout.split())
    subprocess.run(inspect, env=environment(), stdout=sys.stderr, check=False)
    return 124


def main(arguments: list[str]) -> int:
    """Do as asked; what is podman's own takes the place of this process."""
    match arguments:
        case ["compose", *rest]:
            return compose(rest)
        case ["--version", *_]:
            sys.stdout.write(f"{_VERSION}\n")
            return 0
        case ["wait", condition, *names] if condition in {"--condition=healthy", "--condition=running"}:
            # Compose asks for each dependent again.
            for name in (each for each in names if not each.startswith("--")):
                _once(("wait", name), functools.partial(wait_healthy, name))
            return 0
        case ["build", *rest]:
            # Docker builds an image that services share once.
            command = podman(*building(rest))
            build = functools.partial(subprocess.run, command, env=environment(), check=False)
            return _once(("build", *rest), lambda: build().returncode)
        case [("create" | "run") as verb, *rest]:
            command = podman(
                verb, *_AS_DOCKER, *(each.replace(_GATEWAY, f":{_own_address()}") for each in rest)
            )
        case _:
            command = podman(*arguments)
    return os.execvpe(command[0], command, environment())  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
