"""The C extension that build_ffi.py makes; its functions are documented in csrc/aprover.h."""

from typing import Any

ffi: Any
lib: Any
