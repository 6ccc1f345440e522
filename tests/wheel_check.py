"""Checks what would be published, as far as one machine can: ``make wheel-check``.

From the files that git knows it makes the source distribution, and from that alone the wheel. It looks into both, and
then, for each CPython that it finds, installs the wheel into a new environment, outside of the source, and runs the
tests there. Arguments are given to pytest.
"""

from __future__ import annotations

import glob
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
EXTRAS = "test,web,prometheus,otel"
BESIDE_THE_TESTS = ("tests", "examples", "benchmarks", "csrc", "docs", "README.md", "pyproject.toml")
"""What the tests read besides the package; csrc has no Python in it, so the package is not found there."""
LEAST = (3, 11)


def run(*command: str | Path, cwd: Path) -> str:
    """Its standard output; ends the check with what it said, if it fails."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}")
    return done.stdout


def pythons() -> dict[str, str]:
    """By version, one CPython of each minor version from 3.11 on: in PATH, or where pyenv keeps them."""
    candidates = [sys.executable, *glob.glob(str(Path.home() / ".pyenv/versions/*/bin/python3"))]
    for folder in os.environ["PATH"].split(os.pathsep):
        candidates += sorted(glob.glob(f"{folder}/python3.[0-9][0-9]*"))
    code = "import sys; print(sys.implementation.name, *sys.version_info[:2], getattr(sys, 'abiflags', ''))"
    found: dict[str, str] = {}
    for candidate in candidates:
        if not re.fullmatch(r"python3?(\.\d+t?)?", Path(candidate).name):
            continue
        done = subprocess.run([candidate, "-I", "-c", code], capture_output=True, text=True, check=False)
        name, _, version = done.stdout.partition(" ")
        if done.returncode == 0 and name == "cpython" and tuple(map(int, version.split()[:2])) >= LEAST:
            found.setdefault(".".join(version.split()), candidate)
    return found


def tracked() -> list[str]:
    """The files that git knows and that are there."""
    names = subprocess.check_output(["git", "ls-files", "-z"], cwd=ROOT, text=True).split("\0")
    return [name for name in names if name and (ROOT / name).is_file()]


def build(work: Path) -> tuple[Path, Path]:
    """The source distribution, and the wheel that was made from it alone."""
    source = work / "source"
    for name in tracked():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, source / name)
    builder = environment(work / "builder", sys.executable)
    run(builder, "-m", "pip", "install", "-q", "setuptools>=77", "cffi>=1.16", cwd=work)
    run(builder, "-c", f"import setuptools.build_meta as b; b.build_sdist({str(work)!r})", cwd=source)
    (sdist,) = work.glob("aprover-*.tar.gz")
    run(builder, "-m", "pip", "wheel", "-q", "--no-deps", "-w", work, sdist, cwd=work)
    (wheel,) = work.glob("aprover-*.whl")
    return sdist, wheel


def environment(folder: Path, python: str) -> Path:
    """The Python of a new virtual environment."""
    run(python, "-m", "venv", folder, cwd=folder.parent)
    return folder / "bin" / "python"


def inspect(sdist: Path, wheel: Path) -> None:
    """Ends the check if something is missing, or is there that should not be."""
    with tarfile.open(sdist) as tar:
        sources = {name.partition("/")[2] for name in tar.getnames()}
    with zipfile.ZipFile(wheel) as archive:
        installed = set(archive.namelist())
    headers = {f"csrc/{path.name}" for path in (ROOT / "csrc").glob("*.[ch]")}
    others = {"LICENSE", "README.md", "build_ffi.py"}
    package = {name for name in tracked() if name.startswith("aprover/")}
    problems = [
        (
            "missing in the source distribution",
            (headers | package | others) - sources,
        ),
        ("missing in the wheel", (package | {"aprover/_native.abi3.so"}) - installed),
        ("strange in the wheel", {name for name in installed if not name.startswith(("aprover/", "aprover-"))}),
    ]
    for what, names in problems:
        if names:
            sys.exit(f"{what}: {', '.join(sorted(names))}")
    if "-cp311-abi3-" not in wheel.name:
        sys.exit(f"{wheel.name} is not for the stable ABI of 3.11")
    print(f"{sdist.name}, {sdist.stat().st_size / 1e6:.1f} MB;  {wheel.name}, {wheel.stat().st_size / 1e6:.1f} MB")


def test(work: Path, wheel: Path, version: str, python: str, arguments: list[str]) -> bool:
    """Installs the wheel for one Python and runs the tests; whether they pass."""
    folder = work / f"python{version}"
    folder.mkdir()
    for name in BESIDE_THE_TESTS:
        copy = shutil.copytree if (work / "source" / name).is_dir() else shutil.copy2
        copy(work / "source" / name, folder / name)
    interpreter = environment(folder / "venv", python)
    run(interpreter, "-m", "pip", "install", "-q", f"{wheel}[{EXTRAS}]", cwd=folder)
    where = run(interpreter, "-c", "import aprover; print(aprover.__file__)", cwd=folder).strip()
    if not where.startswith(str(folder / "venv")):
        sys.exit(f"it is not the wheel that is tested, but {where}")
    jobs = str(os.cpu_count() or 1)
    command = [str(interpreter), "-m", "pytest", "-q", "-n", jobs, "--dist", "worksteal", *arguments]
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
    print(f"CPython {version}: {python}", flush=True)
    return subprocess.run(command, cwd=folder, env=clean, check=False).returncode == 0


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="aprover-wheel-") as name:
        work = Path(name)
        sdist, wheel = build(work)
        inspect(sdist, wheel)
        passed = {
            version: test(work, wheel, version, python, sys.argv[1:]) for version, python in sorted(pythons().items())
        }
    for version, good in passed.items():
        print(f"CPython {version}: {'passed' if good else 'FAILED'}")
    return 0 if all(passed.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
