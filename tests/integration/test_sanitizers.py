"""The C extensions, built with what finds reads and writes outside of memory, on damaged input."""

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
TRANSCRIBE = """
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


ENCODE = r"""
import importlib.util, random, sys

spec = importlib.util.spec_from_file_location("_encode", sys.argv[1])
encode = importlib.util.module_from_spec(spec)
spec.loader.exec_module(encode)
chance = random.Random(17)
with open(sys.argv[3], "rb") as lines:
    found = [line.strip() for line in lines]
found += [
    b'{"v":[' + b"0," * 300 + b"0]}",
    b'{"v":[' + b"[]," * 300 + b"[]]}",
    b'{"v":' + b"[" * 101 + b"]" * 101 + b"}",
    b'{"v":' + b'{"":' * 101 + b"1" + b"}" * 102,
    b"{" + b",".join(b'"%d":{"":0.5}' % number for number in range(1100)) + b"}",
    b"{}",
]
parts = [b"", b'"', b"\\", b"\\u", b"\\ud83d\\ude00", b",", b":", b"{", b"}", b"[", b"]", b"0", b"-1.5e3"]
parts += [b"tru", b"null,", b"\xc3", b"\xf0\x9f\x98\x80", b"\0"]
parts += [b'"timestamp":"2026-01-01T00:00:00Z",', b'"snapshot":{']
made = 0
for number in range(int(sys.argv[2])):
    raw = bytearray(chance.choice(found))
    for _ in range(chance.randrange(4)):
        place = chance.randrange(len(raw) + 1)
        raw[place : place + chance.randrange(3)] = chance.choice(parts)
    if chance.random() < 0.2:
        raw = raw[: chance.randrange(len(raw) + 1)]
    # From memory of its very size, so that a byte too many is seen.
    done = encode.encode(bytes(raw), bytes(8), chance.randrange(2**32), bytes(chance.randrange(99)))
    made += done is not None
print(made)
"""


@pytest.mark.parametrize(
    ("source", "program"),
    [("stream/decode/transcribe.c", TRANSCRIBE), ("batch/importer/encode.c", ENCODE)],
    ids=["transcribe", "encode"],
)
def test_no_access_leaves_its_memory(source: str, program: str, tmp_path: Path) -> None:
    """Thousands of inputs with changed, cut and repeated bytes: nothing is reported, and some are usual."""
    compiler = shutil.which("gcc")
    libraries = (
        [] if compiler is None else [_library(compiler, name) for name in ("libasan.so", "libubsan.so")]
    )
    if compiler is None or not all(path.is_file() for path in libraries):
        pytest.skip("needs gcc with its sanitizers")
    built = tmp_path / "built.so"
    flags = ["-g", "-O1", "-std=c11", "-Wall", "-Wextra", "-Werror", "-fsanitize=address,undefined"]
    include = f"-I{sysconfig.get_paths()['include']}"
    subprocess.run([compiler, *flags, "-shared", "-fPIC", include, ROOT / source, "-o", built], check=True)
    (lines, *_) = sorted((ROOT / "batch" / "sample").rglob("*.jsonl"))
    done = subprocess.run(
        [sys.executable, "-c", program, built, str(CALLS), lines],
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
