from typing_extensions import Buffer

# What it takes and gives: see its docstring in encode.c.
def encode(text: Buffer, digest: Buffer, earlier: int, added: Buffer, /) -> tuple[bytes, int] | None: ...
