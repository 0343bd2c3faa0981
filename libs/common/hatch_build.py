"""Build hook that compiles modules of a package when it is installed or built as a wheel.

There are two kinds of modules. Each *.pyx (Cython) has an equivalent Python module, which is used if the compiled one
is missing; it is compiled for editable installs as well. Python modules that the pyproject.toml of the package lists
under `compiled` are compiled by mypyc, for wheels only: in an editable install, the compiled module would be imported
instead of the edited source.

Without a C compiler the hook prints a warning and compiles nothing; with one, a module that does not compile is an
error. `BRIDGE_COMPILE=no` disables compilation; with `yes`, as in the images, a missing compiler is an error. As a
script this module prints why nothing can be compiled, because pip hides the output of builds.
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
"""No -march: wheels run on other machines. No -ffast-math: the audio is the same everywhere."""
_LINK_FLAGS: Final = ("-bundle", "-undefined", "dynamic_lookup") if sys.platform == "darwin" else ("-shared",)

_MYPYC: Final = {"MYPYC_OPT_LEVEL": "2", "MYPYC_DEBUG_LEVEL": "0"}
_COMMON: Final = Path(__file__).resolve().parent


class CompileHook(BuildHookInterface[Any]):
    """Puts a compiled *.pyx beside its source for an editable install, and into the wheel otherwise."""

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
                beside.unlink(missing_ok=True)  # a stale library would be imported instead of the Python module
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
    """The reason why modules cannot be compiled, as a line for the terminal; empty if they can."""
    if _asked() == "no":
        reason = "BRIDGE_COMPILE is set to no"
    elif not _compiler():
        reason = "there is no C compiler"
    elif not Path(sysconfig.get_path("include"), "Python.h").exists():
        reason = "Python came without Python.h (Debian and Ubuntu have it in python3-dev)"
    else:
        return ""
    return f"No module was compiled: {reason}. The services work without compiled modules but use more CPU per call."


def _asked() -> str:
    return os.environ.get("BRIDGE_COMPILE", "").lower()


def _compiler() -> list[str]:
    """The command of an installed C compiler: `CC` if set, else Python's own, else any."""
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
    """Compile these modules (paths under `root`). Returns the libraries and their paths under `root`.

    Modules that are compiled together call each other directly in C. A listed module that is missing is an error.
    """
    # mypyc writes beside the sources, so it gets a copy, without libraries of earlier builds.
    shutil.copytree(root, folder, ignore=shutil.ignore_patterns("*.so", "__pycache__"))
    environment = {**_MYPYC, "MYPYPATH": str(_COMMON / "src"), "CC": shlex.join(_compiler())}
    mypy = [f"--config-file={_COMMON / 'mypyc.ini'}"]
    _run([sys.executable, "-m", "mypyc", *mypy, *modules], folder, {**os.environ, **environment})
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
