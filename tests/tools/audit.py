"""Looks for what is unsafe or may not be used: `make audit`. Exit code 1 if something is found.

Three looks: bandit at the code, the licences of everything that an installation brings along, and pip-audit
for known vulnerabilities. The last one asks the network; what it could not ask about is said, and no finding.
"""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution

from packaging.requirements import Requirement

ROOT = "claude-analytics"
COPYLEFT = re.compile(r"GPL|General Public", re.IGNORECASE)
WEAK = re.compile(r"LGPL|Lesser|Library", re.IGNORECASE)
ACCEPTED = {
    "text-unidecode": "Artistic License, at the user's choice",
}
"""Packages whose licence looks like one that would bind this project, and why it does not."""


def main() -> int:
    """Take all three looks; give the exit code."""
    return max(_code(), _licences(), _vulnerabilities())


def _code() -> int:
    print("── bandit")
    arguments = ["-q", "-r", "-c", "pyproject.toml", "stream", "batch"]
    return min(1, subprocess.run([sys.executable, "-m", "bandit", *arguments], check=False).returncode)


def _licences() -> int:
    print("── licences of what an installation brings along")
    found = {name: licence_of(name) for name in sorted(installed_with(ROOT))}
    refused = [name for name, licence in found.items() if is_binding(name, licence)]
    width = max(map(len, found))
    for name, licence in found.items():
        print(f"   {name:{width}}  {licence}{'   NOT COMPATIBLE WITH MIT' if name in refused else ''}")
    return int(bool(refused))


def installed_with(root: str) -> set[str]:
    """Name every installed package that a package needs, directly or not; without extras."""
    seen: set[str] = set()
    pending = [root]
    while pending:
        name = pending.pop()
        try:
            needs = distribution(name).requires or []
        except PackageNotFoundError:  # for another platform
            continue
        if name != root:
            seen.add(name)
        for need in map(Requirement, needs):
            wanted = need.name.lower().replace("_", "-")
            if (need.marker is None or need.marker.evaluate({"extra": ""})) and wanted not in seen:
                pending.append(wanted)
    return seen


def licence_of(name: str) -> str:
    """Say what a package is licensed under, as far as it tells."""
    metadata = distribution(name).metadata
    told = metadata.get("License-Expression")
    classifiers = [
        each.rpartition(" :: ")[2]
        for each in metadata.get_all("Classifier") or []
        if each.startswith("License :: ")
    ]
    first_line = (metadata.get("License") or "").strip().partition("\n")[0]
    return told or "; ".join(classifiers) or first_line or "(not told; see its home page)"


def is_binding(name: str, licence: str) -> bool:
    """Whether a licence would ask something of this project that MIT does not give."""
    return name not in ACCEPTED and bool(COPYLEFT.search(licence)) and not WEAK.search(licence)


def _vulnerabilities() -> int:
    print("── known vulnerabilities (pip-audit)")
    run = subprocess.run(
        [sys.executable, "-m", "pip_audit", "--format", "json", "--progress-spinner", "off"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    try:
        dependencies = json.loads(run.stdout)["dependencies"]
    except (ValueError, KeyError):
        last = (run.stderr.strip().splitlines() or ["it said nothing"])[-1]
        print(f"   SKIPPED: pip-audit failed, which needs the network: {last}")
        return 0
    asked = [each for each in dependencies if "skip_reason" not in each and each["name"] != ROOT]
    if len(asked) < len(dependencies) - 1:
        skipped = len(dependencies) - 1 - len(asked)
        print(f"   SKIPPED: {skipped} packages of which the index said nothing: nothing is known about them")
    findings = list(_told(asked))
    print("\n".join(findings) if findings else f"   none among the {len(asked)} packages asked about")
    return int(bool(findings))


def _told(dependencies: list[dict[str, object]]) -> Iterator[str]:
    for each in dependencies:
        for problem in each.get("vulns") or []:  # type: ignore[attr-defined]
            fixed = ", ".join(problem.get("fix_versions") or []) or "no version yet"
            yield f"   {each['name']} {each['version']}: {problem['id']}, fixed in {fixed}"


if __name__ == "__main__":
    sys.exit(main())
