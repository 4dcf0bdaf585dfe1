from typing_extensions import Buffer

class Memory(Buffer): ...

# What it takes and gives: see its docstring in transcribe.c.
def transcribe(
    batch: bytes, extracted_at: int, source_version: int, /
) -> tuple[int, list[list[Memory | None]], Memory, bytes] | None: ...
