"""Only what pyproject.toml cannot say: the C extension is made by cffi from build_ffi.py, for the stable ABI."""

from __future__ import annotations

import os
import sys
import sysconfig
from concurrent.futures import ThreadPoolExecutor
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

    def build_extension(self, ext: Any) -> None:
        # The files of one extension on all cores; setuptools compiles one after the other.
        compile_in_turn = self.compiler.compile

        def compile_together(sources: list[str], *args: Any, **settings: Any) -> list[str]:
            with ThreadPoolExecutor(os.cpu_count()) as pool:
                objects = pool.map(lambda source: compile_in_turn([source], *args, **settings), sources)
                return [path for paths in objects for path in paths]

        self.compiler.compile = compile_together
        try:
            super().build_extension(ext)
        finally:
            self.compiler.compile = compile_in_turn

    def copy_file(self, infile: str, outfile: str, *args: Any, **settings: Any) -> Any:
        # A new file, not new bytes in the old one, which a running process may have mapped.
        Path(outfile).unlink(missing_ok=True)
        return super().copy_file(infile, outfile, *args, **settings)


# Free-threaded CPython has no stable ABI; there cffi builds for the very version.
stable = not sysconfig.get_config_var("Py_GIL_DISABLED")

setup(
    cffi_modules=["build_ffi.py:ffibuilder"],
    cmdclass={"build_ext": BuildExt},
    options={"bdist_wheel": {"py_limited_api": "cp311"}} if stable else {},
)
