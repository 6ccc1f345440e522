"""Write blake3_vectors.h and transcript_vectors.h with the independent `blake3` package.

The BLAKE3 cases are those of the official test vectors: the input lengths, the input bytes `i mod 251`, the
key and 131 bytes of output. The transcript is computed from docs/protocol.md section 3.

Run by hand: python tests/c/generate_vectors.py
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from blake3 import blake3

KEY = b"whats the Elvish word for friend"
LENGTHS = (
    0, 1, 2, 3, 4, 5, 6, 7, 8, 63, 64, 65, 127, 128, 129, 1023, 1024, 1025, 2048, 2049, 3072, 3073, 4096,
    4097, 5120, 5121, 6144, 6145, 7168, 7169, 8192, 8193, 16384, 31744, 102400,
)  # fmt: skip
P = 2013265921
HERE = Path(__file__).parent


def pattern(length: int) -> bytes:
    return bytes(i % 251 for i in range(length))


class Transcript:
    """Section 3, with the whole buffer in memory."""

    def __init__(self) -> None:
        self.state = b"aprover v2 transcript".ljust(32, b"\0")
        self.buffer = b""

    def absorb(self, tag: int, data: bytes) -> None:
        self.buffer += bytes([tag]) + len(data).to_bytes(8, "little") + data

    def squeeze(self) -> Iterator[int]:
        output = blake3(self.buffer, key=self.state).digest(length=1 << 16)
        self.state, self.buffer = output[:32], b""
        return (int.from_bytes(output[i : i + 4], "little") for i in range(32, len(output), 4))

    def elements(self, count: int) -> list[int]:
        words = self.squeeze()
        coefficients: list[int] = []
        while len(coefficients) < 5 * count:
            v = next(words) & 0x7FFFFFFF
            if v < P:
                coefficients.append(v)
        return coefficients

    def indices(self, count: int, domain: int) -> list[int]:
        words = self.squeeze()
        seen: set[int] = set()
        while len(seen) < count:
            seen.add(next(words) & (domain - 1))
        return sorted(seen)


def array(name: str, values: list[int]) -> str:
    lines = [f"static const uint32_t {name}[{len(values)}] = {{"]
    lines += ["    " + ", ".join(f"{v}u" for v in values[i : i + 8]) + "," for i in range(0, len(values), 8)]
    return "\n".join([*lines, "};", ""])


def blake3_header() -> str:
    lines = [
        "/* Keyed-mode outputs for the cases of the official BLAKE3 test vectors: input bytes i mod 251, the",
        ' * key "whats the Elvish word for friend", 131 bytes of output. Made by generate_vectors.py. */',
        f"static const struct {{ size_t length; const char *hex; }} blake3_vectors[{len(LENGTHS)}] = {{",
    ]
    for length in LENGTHS:
        digits = blake3(pattern(length), key=KEY).digest(length=131).hex()
        lines.append(f"    {{{length},")
        pieces = [f'     "{digits[i : i + 96]}"' for i in range(0, len(digits), 96)]
        lines += [*pieces[:-1], pieces[-1] + "},"]
    return "\n".join([*lines, "};", ""])


def transcript_header() -> str:
    t = Transcript()
    t.absorb(1, b"aprover stark v2")
    t.absorb(6, pattern(5000))
    first = t.elements(1)
    many = t.elements(300)
    t.absorb(7, pattern(64))
    t.absorb(9, b"")
    few = t.elements(3)
    t.absorb(12, (123456789).to_bytes(8, "little"))
    indices = t.indices(200, 1 << 27)
    small = t.indices(20, 32)
    return "\n".join(
        [
            "/* What test_transcript.c must draw. Made by generate_vectors.py. */",
            array("vector_first", first),
            array("vector_many", many),
            array("vector_few", few),
            array("vector_indices", indices),
            array("vector_small", small),
        ]
    )


if __name__ == "__main__":
    (HERE / "blake3_vectors.h").write_text(blake3_header())
    (HERE / "transcript_vectors.h").write_text(transcript_header())
