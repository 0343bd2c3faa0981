"""Compiles modules of a package while it is installed or made a wheel; the build hook of every package that has some.

There are two kinds. Each *.pyx (Cython) stands beside a module in Python that serves where it is missing; it is
compiled for an editable install as well. And the modules in Python that the package's pyproject.toml lists as
`compiled` go through mypyc, for wheels only: beside sources that change, what was compiled of them would be taken.

A machine without a C compiler goes on without, and hears of it; with one, a module that does not compile is an error.
`BRIDGE_COMPILE=no` leaves all out, and with `yes`, as in the images, it is an error when there is no compiler.
As a script this says what the machine does without: pip keeps to itself what a build says.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

_C_FLAGS: Final = ("-O3", "-DNDEBUG", "-fwrapv", "-fPIC", "-fvisibility=hidden")
"""No -march: what is built here runs elsewhere. No -ffast-math: the same sound everywhere."""
_LINK_FLAGS: Final = ("-bundle", "-undefined", "dynamic_lookup") if sys.platform == "darwin" else ("-shared",)

_MYPYC: Final = {"MYPYC_OPT_LEVEL": "2", "MYPYC_DEBUG_LEVEL": "0"}
_COMMON: Final = Path(__file__).resolve().parent


class CompileHook(BuildHookInterface[Any]):
    """What a *.pyx becomes goes beside it for an editable install, and into the wheel otherwise."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        root = Path(self.root, "src")
        editable = version == "editable"
        missing = why_not()
        if missing and _asked() == "yes":
            raise SystemExit(missing)
        self._folder = TemporaryDirectory()
        for source in sorted(root.rglob("*.pyx")):
            beside = source.with_name(source.stem + _suffix())
            if editable:
                beside.unlink(missing_ok=True)  # one of before would be imported instead of the Python module
            if missing:
                continue
            made = _compiled(source, Path(self._folder.name))
            if editable:
                shutil.copy2(made, beside)
            else:
                build_data["force_include"][str(made)] = str(beside.relative_to(root))
            build_data |= {"pure_python": False, "infer_tag": True}
        listed = [] if editable or missing else self.config.get("compiled", [])
        if listed:
            for made, place in _compiled_python(root, listed, Path(self._folder.name, "mypyc")):
                build_data["force_include"][str(made)] = str(place)
            build_data |= {"pure_python": False, "infer_tag": True}
        if missing:
            self.app.display_warning(missing)

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        self._folder.cleanup()


def why_not() -> str:
    """One line for people, or nothing where modules can be compiled."""
    if _asked() == "no":
        reason = "BRIDGE_COMPILE is set to no"
    elif not _compiler():
        reason = "there is no C compiler"
    elif not Path(sysconfig.get_path("include"), "Python.h").exists():
        reason = "Python came without Python.h (Debian and Ubuntu have it in python3-dev)"
    else:
        return ""
    return f"Nothing is compiled: {reason}. Everything works without, at the price of more CPU for each call."


def _asked() -> str:
    return os.environ.get("BRIDGE_COMPILE", "").lower()


def _compiler() -> list[str]:
    """The command of a C compiler that is installed: the one asked for, Python's own, or any."""
    asked = os.environ.get("CC")
    for command in [asked] if asked else [sysconfig.get_config_var("CC") or "cc", "cc", "gcc", "clang"]:
        words = shlex.split(command)
        if shutil.which(words[0]):
            return words
    return []


def _compiled(source: Path, folder: Path) -> Path:
    c_file = folder / f"{source.stem}.c"
    library = folder / (source.stem + _suffix())
    _run([sys.executable, "-m", "cython", "-o", str(c_file), str(source)])
    includes = [f"-I{source.parent}", f"-I{sysconfig.get_path('include')}"]
    flags = [*_C_FLAGS, *shlex.split(os.environ.get("CFLAGS", ""))]
    _run([*_compiler(), *flags, *includes, str(c_file), "-o", str(library), *_LINK_FLAGS])
    return library


def _compiled_python(root: Path, modules: list[str], folder: Path) -> list[tuple[Path, Path]]:
    """Each library that mypyc makes of these modules (paths under `root`), and its place beneath it.

    Modules that are compiled together call each other as C does. One that is listed and missing is an error.
    """
    # A copy, without what was compiled before: mypyc writes beside the sources.
    shutil.copytree(root, folder, ignore=shutil.ignore_patterns("*.so", "__pycache__"))
    told = {
        "MYPYPATH": str(_COMMON / "src"),
        "MYPYC_OPT_LEVEL": "2",
        "MYPYC_DEBUG_LEVEL": "0",
        "CC": shlex.join(_compiler()),
    }
    mypy = [f"--config-file={_COMMON / 'mypyc.ini'}"]
    _run([sys.executable, "-m", "mypyc", *mypy, *modules], folder, {**os.environ, **told})
    made = [path for path in folder.rglob("*.so") if "build" not in path.relative_to(folder).parts]
    return [(path, path.relative_to(folder)) for path in sorted(made)]


def _run(command: list[str], folder: Path | None = None, environment: dict[str, str] | None = None) -> None:
    answer = subprocess.run(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if answer.returncode:
        raise SystemExit(f"{shlex.join(command)}\n{answer.stdout}")


def _suffix() -> str:
    return str(sysconfig.get_config_var("EXT_SUFFIX"))


if __name__ == "__main__" and (line := why_not()):
    sys.stderr.write(line + "\n")
