"""The *.pyx: built where a C compiler is, missed nowhere, typed, and compiled in their image's first stage only."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from libs.common.hatch_build import why_not

SUFFIX = sysconfig.get_config_var("EXT_SUFFIX")
GCC = "apt-get install --yes --no-install-recommends gcc libc6-dev"
PROJECT = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
[project]
name = "tiny"
version = "1"
requires-python = ">=3.11"
[tool.hatch.build.targets.wheel]
packages = ["src/tiny"]
exclude = ["*.so"]
[tool.hatch.build.targets.wheel.hooks.custom]
path = "{hook}"
"""
needs_compiler = pytest.mark.skipif(bool(why_not()), reason=why_not())


@pytest.fixture(scope="module")
def sources(tracked: list[Path]) -> list[Path]:
    return [path for path in tracked if path.suffix == ".pyx"]


@pytest.fixture
def tiny(tmp_path: Path, root: Path) -> Path:
    """A project with one module to compile."""
    project, package = tmp_path / "tiny", tmp_path / "tiny/src/tiny"
    package.mkdir(parents=True)
    (project / "pyproject.toml").write_text(PROJECT.format(hook=(root / "libs/common/hatch_build.py").as_posix()))
    (package / "__init__.py").write_text("")
    (package / "answer.pyx").write_text("cdef int answer = 42\ndef asked(): return answer\n")
    return project


def _wheel(project: Path, **environment: str) -> tuple[subprocess.CompletedProcess[str], list[Path]]:
    told = {name: value for name, value in os.environ.items() if name not in {"CC", "BRIDGE_COMPILE"}} | environment
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", "made"]
    answer = subprocess.run(command, cwd=project, env=told, capture_output=True, text=True, check=False)
    return answer, list(project.glob("made/*.whl"))


def _modules_in(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        return [name for name in archive.namelist() if name.endswith(".so")]


@needs_compiler
def test_every_module_is_compiled_where_it_can_be(sources: list[Path]) -> None:
    assert sources
    for source in sources:
        parts = source.with_suffix("").parts
        module = importlib.import_module(".".join(parts[parts.index("src") + 1 :]))
        assert str(module.__file__).endswith(SUFFIX), f"{source.name} is not compiled: `make clean install`"


def test_every_compiled_module_has_its_types(sources: list[Path]) -> None:
    assert all(source.with_suffix(".pyi").exists() for source in sources)


def test_the_compiler_stays_in_the_first_stage_of_the_image(sources: list[Path], root: Path) -> None:
    """What is compiled in `libs` is compiled for the image of every service."""
    for dockerfile in root.glob("services/*/Dockerfile"):
        if not any(
            source.is_relative_to(folder) for source in sources for folder in (dockerfile.parent, root / "libs")
        ):
            continue
        _, build, final = dockerfile.read_text(encoding="utf-8").split("\nFROM ")
        assert GCC in build.split("pip wheel")[0]
        assert "BRIDGE_COMPILE=yes" in build, "an image without would only be slower, and nobody would see it"
        assert "apt-get" not in final


@needs_compiler
def test_a_wheel_holds_the_module_and_says_for_whom(tiny: Path) -> None:
    (tiny / "src/tiny/answer.cpython-39-of-another-machine.so").write_bytes(b"")
    answer, (wheel,) = _wheel(tiny)
    assert answer.returncode == 0, answer.stderr
    assert _modules_in(wheel) == [f"tiny/answer{SUFFIX}"]
    assert f"-cp{sys.version_info.major}{sys.version_info.minor}-" in wheel.name
    assert not list(tiny.glob(f"src/tiny/*{SUFFIX}")), "nothing is left beside the source"


@pytest.mark.parametrize(
    ("environment", "reason"),
    [({"PATH": os.devnull}, "there is no C compiler"), ({"BRIDGE_COMPILE": "no"}, "BRIDGE_COMPILE is set to no")],
)
def test_without_a_compiler_the_wheel_goes_without_and_says_so(
    tiny: Path, environment: dict[str, str], reason: str
) -> None:
    answer, (wheel,) = _wheel(tiny, **environment)
    assert answer.returncode == 0, answer.stderr
    assert wheel.name == "tiny-1-py3-none-any.whl"
    assert not _modules_in(wheel)
    (line,) = (answer.stdout + answer.stderr).replace("made/tiny-1-py3-none-any.whl", "").strip().splitlines()
    assert reason in line


def test_where_it_must_be_compiled_a_missing_compiler_is_an_error(tiny: Path) -> None:
    answer, wheels = _wheel(tiny, PATH=os.devnull, BRIDGE_COMPILE="yes")
    assert answer.returncode != 0
    assert not wheels
    assert "there is no C compiler" in answer.stderr


@needs_compiler
@pytest.mark.parametrize("code", ["cdef int answer = ", 'cdef extern from "missing.h":\n    int x\n'])
def test_a_module_that_does_not_compile_is_an_error(tiny: Path, code: str) -> None:
    (tiny / "src/tiny/answer.pyx").write_text(code)
    answer, wheels = _wheel(tiny)
    assert answer.returncode != 0
    assert not wheels
    assert "answer.pyx" in answer.stderr or "missing.h" in answer.stderr
