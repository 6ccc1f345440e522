"""The reference verifier's BLAKE3."""

from __future__ import annotations

import struct
from itertools import islice

import blake3
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aprover.reference.blake3 import K_AIR, K_LEAF, K_NODE, K_TRANSCRIPT, compress, keyed_hash, keyed_xof

OFFICIAL_KEY = b"whats the Elvish word for friend"

# The `keyed_hash` cases of test_vectors.json of the BLAKE3 project (CC0), cut to their first 32 bytes: the input is the
# bytes 0, 1, .., 250, 0, 1, .. of this length.
OFFICIAL = {
    0: "92b2b75604ed3c761f9d6f62392c8a9227ad0ea3f09573e783f1498a4ed60d26",
    1: "6d7878dfff2f485635d39013278ae14f1454b8c0a3a2d34bc1ab38228a80c95b",
    1023: "c951ecdf03288d0fcc96ee3413563d8a6d3589547f2c2fb36d9786470f1b9d6e",
    1024: "75c46f6f3d9eb4f55ecaaee480db732e6c2105546f1e675003687c31719c7ba4",
    1025: "357dc55de0c7e382c900fd6e320acc04146be01db6a8ce7210b7189bd664ea69",
    2048: "879cf1fa2ea0e79126cb1063617a05b6ad9d0b696d0d757cf053439f60a99dd1",
    2049: "9f29700902f7c86e514ddc4df1e3049f258b2472b6dd5267f61bf13983b78dd5",
    3072: "044a0e7b172a312dc02a4c9a818c036ffa2776368d7f528268d2e6b5df191770",
    3073: "68dede9bef00ba89e43f31a6825f4cf433389fedae75c04ee9f0cf16a427c95a",
    4096: "befc660aea2f1718884cd8deb9902811d332f4fc4a38cf7c7300d597a081bfc0",
    4097: "00df940cd36bb9fa7cbbc3556744e0dbc8191401afe70520ba292ee3ca80abbc",
    5120: "2c493e48e9b9bf31e0553a22b23503c0a3388f035cece68eb438d22fa1943e20",
    5121: "6ccf1c34753e7a044db80798ecd0782a8f76f33563accaddbfbb2e0ea4b2d024",
    6144: "3d6b6d21281d0ade5b2b016ae4034c5dec10ca7e475f90f76eac7138e9bc8f1d",
    6145: "9ac301e9e39e45e3250a7e3b3df701aa0fb6889fbd80eeecf28dbc6300fbc539",
    7168: "b42835e40e9d4a7f42ad8cc04f85a963a76e18198377ed84adddeaecacc6f3fc",
    7169: "ed9b1a922c046fdb3d423ae34e143b05ca1bf28b710432857bf738bcedbfa511",
    8192: "dc9637c8845a770b4cbf76b8daec0eebf7dc2eac11498517f08d44c8fc00d58a",
    8193: "954a2a75420c8d6547e3ba5b98d963e6fa6491addc8c023189cc519821b4a1f5",
    16384: "9e9fc4eb7cf081ea7c47d1807790ed211bfec56aa25bb7037784c13c4b707b0d",
    31744: "efa53b389ab67c593dba624d898d0f7353ab99e4ac9d42302ee64cbf9939a419",
}


def pattern(length: int) -> bytes:
    return bytes(i % 251 for i in range(length))


class TestAgainstPublishedVectors:
    @pytest.mark.parametrize("length", OFFICIAL)
    def test_keyed_hash(self, length: int) -> None:
        """The keyed hash of every published length is the published one."""
        assert keyed_hash(OFFICIAL_KEY, pattern(length)).hex() == OFFICIAL[length]

    def test_extended_output(self) -> None:
        """The published extended output, 131 bytes over three blocks, is what the blocks hold."""
        published = (
            "357dc55de0c7e382c900fd6e320acc04146be01db6a8ce7210b7189bd664ea69362396b77fdc0d2634a552970843722066c3c1"
            "5902ae5097e00ff53f1e116f1cd5352720113a837ab2452cafbde4d54085d9cf5d21ca613071551b25d52e69d6c81123872b6f"
            "19cd3bc1333edf0c52b94de23ba772cf82636cff4542540a7738d5b930"
        )
        blocks = islice(keyed_xof(OFFICIAL_KEY, pattern(1025)), 3)
        assert b"".join(blocks)[:131].hex() == published


class TestAgainstThePackage:
    @settings(max_examples=60, deadline=None)
    @given(key=st.binary(min_size=32, max_size=32), length=st.integers(0, 6000), seed=st.integers(0, 250))
    def test_any_key_and_length(self, key: bytes, length: int, seed: int) -> None:
        """Hash and extended output equal those of the blake3 package for any key and any length."""
        data = pattern(length + seed)[seed:]
        expected = blake3.blake3(data, key=key).digest(length=200)
        assert b"".join(islice(keyed_xof(key, data), 4))[:200] == expected
        assert keyed_hash(key, data) == expected[:32]

    @pytest.mark.parametrize("counter", [0, 1, 2**32 - 1, 2**32, 2**32 + 5, 2**40])
    def test_far_blocks(self, counter: int) -> None:
        """The counter of a compression has 64 bits."""
        single_block = 1 | 2 | 8 | 16  # CHUNK_START, CHUNK_END, ROOT, KEYED_HASH
        words = compress(struct.unpack("<8I", K_AIR), b"abc".ljust(64, b"\0"), counter, 3, single_block)
        assert struct.pack("<16I", *words) == blake3.blake3(b"abc", key=K_AIR).digest(length=64, seek=64 * counter)

    @pytest.mark.parametrize("length", [0, 1, 63, 64, 65, 127, 128, 129, 960, 961])
    def test_block_edges(self, length: int) -> None:
        """The edges of blocks are right."""
        assert keyed_hash(K_LEAF, pattern(length)) == blake3.blake3(pattern(length), key=K_LEAF).digest()


class TestKeys:
    def test_keys_are_padded_names(self) -> None:
        """Each key is its ASCII name of section 2 padded with zero bytes to 32."""
        named = {
            K_LEAF: "aprover v2 merkle leaf",
            K_NODE: "aprover v2 merkle node",
            K_AIR: "aprover v2 air",
            K_TRANSCRIPT: "aprover v2 transcript",
        }
        for key, name in named.items():
            assert len(key) == 32
            assert key == name.encode() + bytes(32 - len(name))
