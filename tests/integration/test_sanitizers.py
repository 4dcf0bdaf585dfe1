"""`transcribe.c`, built with what finds reads and writes outside of memory, on damaged documents."""

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.support.paths import ROOT

pytestmark = pytest.mark.integration

CALLS = 4_000
PROGRAM = """
import importlib.util, random, struct, sys
from datetime import datetime
import bson, orjson
from bson import Decimal128, ObjectId, Timestamp

spec = importlib.util.spec_from_file_location("_transcribe", sys.argv[1])
transcribe = importlib.util.module_from_spec(spec)
spec.loader.exec_module(transcribe)
chance = random.Random(17)
with open(sys.argv[3], "rb") as lines:
    found = [{"_id": ObjectId(), "ingestedAt": datetime(2026, 1, 1), **orjson.loads(line)} for line in lines]
deep = "x"
for _ in range(120):
    deep = {"a": [deep]}
content = [{"type": "text", "text": "\\x01" * 300}, "x", {"a": [1.5, 2**60]}]
found += [
    {"_id": 1, "type": "user", "message": {"content": content}},
    {"_id": "\\u00e9", "type": "", "timestamp": "2024-02-29T00:00:00Z", "k\\U0001f600": Decimal128("1")},
    {"_id": 5, "type": "u", "message": deep, "uuid": "", "": ""},
    {"_id": 5, "type": "u", "message": {str(number): number for number in range(1100)}},
    {},
]
kinds = ["insert", "update", "replace", "delete", "drop"]
rows = 0
for number in range(int(sys.argv[2])):
    batch = {}
    for place in range(chance.randrange(1, 4)):
        document = chance.choice(found)
        event = {
            "_id": {"_data": "82"},
            "operationType": chance.choice(kinds),
            "clusterTime": Timestamp(7, 1),
            "fullDocument": document,
            "documentKey": {"_id": document.get("_id"), "shard": 1},
            "ns": {"db": "x"},
        }
        batch[str(place)] = chance.choice([document, event])
    raw = bytearray(bson.encode(batch))
    for _ in range(chance.randrange(6)):
        raw[chance.randrange(len(raw))] = chance.choice([0, 1, 2, 3, 4, 5, 16, 18, 127, 128, 195, 255])
    if chance.random() < 0.3:
        raw = raw[: chance.randrange(len(raw) + 1)]
        raw = struct.pack("<i", len(raw) + 5) + raw + b"\\0"
    made = transcribe.transcribe(bytes(raw), chance.randrange(-(10**17), 10**17), chance.choice([1, -1]))
    if made:
        rows += made[0]
        [bytes(buffer) for buffers in made[1] for buffer in buffers if buffer is not None]
print(rows)
"""


def test_no_access_leaves_its_memory(tmp_path: Path) -> None:
    """Thousands of batches with changed, cut and repeated bytes: nothing is reported, and there are rows."""
    compiler = shutil.which("gcc")
    libraries = (
        [] if compiler is None else [_library(compiler, name) for name in ("libasan.so", "libubsan.so")]
    )
    if compiler is None or not all(path.is_file() for path in libraries):
        pytest.skip("needs gcc with its sanitizers")
    built = tmp_path / "_transcribe.so"
    flags = ["-g", "-O1", "-std=c11", "-Wall", "-Wextra", "-Werror", "-fsanitize=address,undefined"]
    include = f"-I{sysconfig.get_paths()['include']}"
    source = ROOT / "stream" / "decode" / "transcribe.c"
    subprocess.run([compiler, *flags, "-shared", "-fPIC", include, source, "-o", built], check=True)
    (lines, *_) = sorted((ROOT / "batch" / "sample").rglob("*.jsonl"))
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, built, str(CALLS), lines],
        env=os.environ
        | {
            "LD_PRELOAD": " ".join(map(str, libraries)),
            "ASAN_OPTIONS": "detect_leaks=0",  # Python keeps what it has until the end
            "UBSAN_OPTIONS": "halt_on_error=1",
            "PYTHONMALLOC": "malloc",  # else the sanitizer sees Python's pools, not its objects
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert (0, "") == (done.returncode, done.stderr)
    assert int(done.stdout) > CALLS / 10


def _library(compiler: str, name: str) -> Path:
    found = subprocess.run([compiler, f"-print-file-name={name}"], capture_output=True, text=True, check=True)
    return Path(found.stdout.strip())
