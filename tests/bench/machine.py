"""What a figure was measured on: times mean nothing without it."""

import os
import platform
from pathlib import Path

_WIDE = ("avx512f", "avx2", "avx")


def processor() -> str:
    """Name the processor, the widest of its vector units, and how many cores this process may use."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    facts = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    name = facts.get("model name") or platform.processor() or platform.machine()
    family = ", ".join(f"{key} {facts[key]}" for key in ("cpu family", "model") if key in facts)
    widest = next((flag for flag in _WIDE if flag in facts.get("flags", "").split()), "no avx")
    return f"{name} ({'; '.join(part for part in (family, widest) if part)}), {os.cpu_count()} cores"


def load() -> str:
    """Say how busy the machine has been in the last minute: above its cores, times are too long."""
    return f"load {os.getloadavg()[0]:.1f}"
