"""Compiled modules: built where a C compiler exists, optional elsewhere, and built only in the first stage of images.

Each *.pyx has a type stub. Modules for mypyc have no coroutines that mypyc compiles incorrectly.
"""

from __future__ import annotations

import ast
import importlib
import os
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from collections.abc import Iterator
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
compiled = {listed}
"""
QUESTION = """
async def asked(broken: bool) -> int:
    if broken:
        raise KeyError
    return 42
"""
WAITING = (ast.Await, ast.AsyncWith, ast.AsyncFor, ast.Yield, ast.YieldFrom)
needs_compiler = pytest.mark.skipif(bool(why_not()), reason=why_not())


@pytest.fixture(scope="module")
def sources(tracked: list[Path]) -> list[Path]:
    return [path for path in tracked if path.suffix == ".pyx"]


@pytest.fixture
def tiny(tmp_path: Path, root: Path) -> Path:
    """A project with one module to compile."""
    project, package = tmp_path / "tiny", tmp_path / "tiny/src/tiny"
    package.mkdir(parents=True)
    (project / "pyproject.toml").write_text(PROJECT.format(hook=_hook(root), listed=[]))
    (package / "__init__.py").write_text("")
    (package / "answer.pyx").write_text("cdef int answer = 42\ndef asked(): return answer\n")
    return project


@pytest.fixture
def tiny_in_python(tiny: Path, root: Path) -> Path:
    """The same project with an additional Python module to compile."""
    (tiny / "pyproject.toml").write_text(PROJECT.format(hook=_hook(root), listed=["tiny/question.py"]))
    (tiny / "src/tiny/question.py").write_text(QUESTION)
    return tiny


def _hook(root: Path) -> str:
    return (root / "libs/common/hatch_build.py").as_posix()


def _wheel(project: Path, **environment: str) -> tuple[subprocess.CompletedProcess[str], list[Path]]:
    variables = {name: value for name, value in os.environ.items() if name not in {"CC", "BRIDGE_COMPILE"}}
    variables |= {"CFLAGS": "-O0", **environment}  # These modules need not be fast, and optimizing them takes seconds.
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", "made"]
    answer = subprocess.run(command, cwd=project, env=variables, capture_output=True, text=True, check=False)
    return answer, list(project.glob("made/*.whl"))


def _refusal(project: Path, **environment: str) -> str:
    """Return the error output of a build that must fail without creating a wheel."""
    answer, wheels = _wheel(project, **environment)
    assert answer.returncode != 0
    assert not wheels
    return answer.stderr


def _modules_in(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        return [name for name in archive.namelist() if name.endswith(".so")]


@needs_compiler
def test_every_module_is_compiled_where_it_can_be(sources: list[Path]) -> None:
    assert sources
    for source in sources:
        parts = source.with_suffix("").parts
        module = importlib.import_module(".".join(parts[parts.index("src") + 1 :]))
        assert str(module.__file__).endswith(SUFFIX), f"{source.name} is not compiled; run `make clean install`"


def test_every_compiled_module_has_its_types(sources: list[Path]) -> None:
    assert all(source.with_suffix(".pyi").exists() for source in sources)


def test_the_compiler_stays_in_the_first_stage_of_the_image(root: Path) -> None:
    """The modules of `libs` must be compiled for the image of every service."""
    for dockerfile in root.glob("services/*/Dockerfile"):
        _, build, final = dockerfile.read_text(encoding="utf-8").split("\nFROM ")
        assert GCC in build.split("pip wheel")[0]
        assert "BRIDGE_COMPILE=yes" in build, "without it the image would be slower, without an error"
        assert "apt-get" not in final


@needs_compiler
def test_a_wheel_contains_the_module_and_names_its_platform(tiny: Path) -> None:
    (tiny / "src/tiny/answer.cpython-39-of-another-machine.so").write_bytes(b"")
    answer, (wheel,) = _wheel(tiny)
    assert answer.returncode == 0, answer.stderr
    assert _modules_in(wheel) == [f"tiny/answer{SUFFIX}"]
    assert f"-cp{sys.version_info.major}{sys.version_info.minor}-" in wheel.name
    assert not list(tiny.glob(f"src/tiny/*{SUFFIX}")), "no build output remains in the source folder"


@pytest.mark.parametrize(
    ("environment", "reason"),
    [({"PATH": os.devnull}, "there is no C compiler"), ({"BRIDGE_COMPILE": "no"}, "BRIDGE_COMPILE is set to no")],
)
def test_without_a_compiler_nothing_is_compiled_and_a_warning_names_the_reason(
    tiny: Path, environment: dict[str, str], reason: str
) -> None:
    answer, (wheel,) = _wheel(tiny, **environment)
    assert answer.returncode == 0, answer.stderr
    assert wheel.name == "tiny-1-py3-none-any.whl"
    assert not _modules_in(wheel)
    (line,) = (answer.stdout + answer.stderr).replace("made/tiny-1-py3-none-any.whl", "").strip().splitlines()
    assert reason in line


def test_where_it_must_be_compiled_a_missing_compiler_is_an_error(tiny: Path) -> None:
    assert "there is no C compiler" in _refusal(tiny, PATH=os.devnull, BRIDGE_COMPILE="yes")


@needs_compiler
@pytest.mark.parametrize("code", ["cdef int answer = ", 'cdef extern from "missing.h":\n    int x\n'])
def test_a_module_that_does_not_compile_is_an_error(tiny: Path, code: str) -> None:
    (tiny / "src/tiny/answer.pyx").write_text(code)
    message = _refusal(tiny)
    assert "answer.pyx" in message or "missing.h" in message


# -- modules in Python
@pytest.fixture(scope="module")
def listed(root: Path) -> list[Path]:
    """The modules that mypyc compiles, as listed in the configuration."""
    found = []
    for project in (*root.glob("libs/*/pyproject.toml"), *root.glob("services/*/pyproject.toml")):
        hooks = tomllib.loads(project.read_text())["tool"]["hatch"]["build"]["targets"]["wheel"].get("hooks", {})
        found += [project.parent / "src" / module for module in hooks.get("custom", {}).get("compiled", [])]
    return found


def test_no_listed_coroutine_waits_while_it_handles_an_exception(listed: list[Path]) -> None:
    """mypyc stores the current exception once for each thread, so another coroutine can clear it while this one
    awaits.
    """
    assert len(listed) > 20
    for module in listed:
        lines = list(_waits_in_handlers(ast.parse(module.read_text(encoding="utf-8"))))
        assert not lines, f"{module.name}, lines {lines}: use bridge_common.base.waiting"


@pytest.mark.parametrize(
    "body",
    [
        "try: pass\n  finally: await work()",
        "try: pass\n  except KeyError: await work()",
        "try: pass\n  finally:\n    for _ in (): await work()",
        "async with work(): pass",
        "async for _ in work(): pass",
    ],
)
def test_such_a_wait_is_found(body: str) -> None:
    assert list(_waits_in_handlers(ast.parse(f"async def f():\n  {body}")))


def test_other_waits_are_not_meant() -> None:
    code = "async def f():\n  try: await work()\n  except KeyError: pass\n  else: await work()\n  finally: done()"
    assert not list(_waits_in_handlers(ast.parse(code)))


def _waits_in_handlers(tree: ast.Module) -> Iterator[int]:
    """Return the lines in which a coroutine or generator awaits or yields, or may do so, while an exception is
    handled.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.AsyncWith | ast.AsyncFor):
            yield node.lineno
        elif isinstance(node, ast.Try):
            handlers = [*node.finalbody, *(line for handler in node.handlers for line in handler.body)]
            yield from (inner.lineno for part in handlers for inner in ast.walk(part) if isinstance(inner, WAITING))


def test_classes_of_listed_modules_are_inherited_from_in_listed_ones_only(
    listed: list[Path], modules: dict[Path, ast.Module], root: Path
) -> None:
    """A subclass in a module that is not compiled raises an error at its definition. This may happen only with a Redis
    cluster, so other tests would not detect it.
    """
    compiled = {root / path: tree for path, tree in modules.items() if root / path in listed}
    names = {node.name for tree in compiled.values() for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}
    heirs = [
        f"{path}: {node.name}"
        for path, tree in modules.items()
        if root / path not in compiled
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
        and names & {part for base in node.bases for part in ast.unparse(base).split(".")}
    ]
    assert len(names) > 30
    assert not heirs


@needs_compiler
def test_a_listed_module_is_compiled_into_the_wheel(tiny_in_python: Path, tmp_path: Path) -> None:
    answer, (wheel,) = _wheel(tiny_in_python)
    assert answer.returncode == 0, answer.stderr
    assert {f"tiny/answer{SUFFIX}", f"tiny/question{SUFFIX}"} < set(_modules_in(wheel))
    assert not list(tiny_in_python.rglob(f"src/**/*{SUFFIX}")), "no build output remains beside the source"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    code = "import asyncio; from tiny import question as q; print(q.__file__[-3:], asyncio.run(q.asked(False)))"
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "site")}
    output = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert output.stdout.split() == [".so", "42"]


@needs_compiler
def test_an_editable_install_leaves_a_listed_module_as_it_is(tiny_in_python: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel:editable", "-d", "made"]
    subprocess.run(command, cwd=tiny_in_python, capture_output=True, check=True)
    assert [path.name for path in tiny_in_python.rglob(f"src/**/*{SUFFIX}")] == [f"answer{SUFFIX}"]


@needs_compiler
@pytest.mark.parametrize("code", ["def asked() -> int: return 'no'\n", "def asked( -> int"])
def test_a_listed_module_that_does_not_compile_is_an_error(tiny_in_python: Path, code: str) -> None:
    (tiny_in_python / "src/tiny/question.py").write_text(code)
    assert "question.py" in _refusal(tiny_in_python)


@needs_compiler
def test_a_listed_module_that_is_missing_is_an_error(tiny_in_python: Path) -> None:
    (tiny_in_python / "src/tiny/question.py").unlink()
    assert "question.py" in _refusal(tiny_in_python)


def test_without_a_compiler_a_listed_module_stays_python(tiny_in_python: Path) -> None:
    answer, (wheel,) = _wheel(tiny_in_python, PATH=os.devnull)
    assert answer.returncode == 0, answer.stderr
    assert wheel.name == "tiny-1-py3-none-any.whl"
