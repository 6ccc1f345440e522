"""Describes the C extension `aprover._native` to cffi (API mode).

Its declarations are the parts of csrc/aprover.h between ``/* cffi: begin */`` and ``/* cffi: end */``;
its sources are all of csrc/*.c. ``pip install`` uses this through setup.py; run as a script, it builds the
extension next to the package, so that a checkout can be used in place.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

from cffi import FFI

ROOT = Path(__file__).resolve().parent
SOURCE = ROOT / "csrc"
FLAGS = ["-O3", "-std=gnu11", "-fvisibility=hidden"]
SECTION = re.compile(r"/\* cffi: begin \*/(.*?)/\* cffi: end \*/", re.DOTALL)


def require_compiler() -> None:
    """Stops with advice, rather than deep inside setuptools, where no C compiler is found."""
    command = os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc"
    compiler = next((word for word in shlex.split(command) if "=" not in word), "cc")
    if shutil.which(compiler) is None:
        sys.exit(
            f"aprover builds a C extension, and the C compiler {compiler!r} was not found.\n"
            "Install one (Debian and Ubuntu: apt install build-essential; Fedora: dnf install gcc; "
            "macOS: xcode-select --install), or set CC to the one to use."
        )


def declarations() -> str:
    """The C declarations that cffi is to see."""
    header = (SOURCE / "aprover.h").read_text()
    sections = SECTION.findall(header)
    if not sections:
        raise ValueError("csrc/aprover.h has no section between '/* cffi: begin */' and '/* cffi: end */'")
    return "\n".join(sections)


def make_builder() -> FFI:
    ffi = FFI()
    ffi.cdef(declarations())
    # Paths are relative to the project, which setuptools demands; sorted, for the same build everywhere.
    ffi.set_source(
        "aprover._native",
        '#include "aprover.h"',
        sources=sorted(f"csrc/{path.name}" for path in SOURCE.glob("*.c")),
        depends=sorted(f"csrc/{path.name}" for path in SOURCE.glob("*.h")),
        include_dirs=["csrc"],
        extra_compile_args=FLAGS,
        extra_link_args=["-pthread"],
    )
    return ffi


# setup.py has cffi run this file under this name, and imports it for require_compiler.
if __name__ == "__cffi__":
    ffibuilder = make_builder()

if __name__ == "__main__":
    require_compiler()
    build = [sys.executable, "setup.py", "--quiet", "build_ext", "--inplace", *sys.argv[1:]]
    sys.exit(subprocess.run(build, cwd=ROOT, check=False).returncode)
