"""Only what pyproject.toml cannot say: the C extension is made by cffi from build_ffi.py."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from setuptools import setup
from setuptools.command.build_ext import build_ext

sys.path.insert(0, str(Path(__file__).resolve().parent))  # an isolated build does not have it
from build_ffi import require_compiler


class BuildExt(build_ext):  # type: ignore[misc, unused-ignore]
    def run(self) -> None:
        require_compiler()
        super().run()

    def copy_file(self, infile: str, outfile: str, *args: Any, **settings: Any) -> Any:
        # A new file, not new bytes in the old one, which a running process may have mapped.
        Path(outfile).unlink(missing_ok=True)
        return super().copy_file(infile, outfile, *args, **settings)


setup(cffi_modules=["build_ffi.py:ffibuilder"], cmdclass={"build_ext": BuildExt})
