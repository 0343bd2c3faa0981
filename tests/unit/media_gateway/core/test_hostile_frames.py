"""The gateway's C code stays within its buffers for any message (hostile_frames.c)."""

from __future__ import annotations

import base64
import shutil
import subprocess
from pathlib import Path

import pytest

import media_gateway.core
from libs.common.hatch_build import why_not

if line := why_not():
    pytest.skip(line, allow_module_level=True)

HERE = Path(__file__).parent
ROUNDS = 40_000
MESSAGE = (
    '{"kind":"AudioData","audioData":{"timestamp":"2026-11-28T01:02:03.456Z","participantRawID":"4:+14255550100","data":"'
    + base64.b64encode(bytes(range(256)) * 2 + bytes(range(128))).decode()
    + '","silent":false}}'
)


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sanitized")
    compiler = shutil.which("cc") or shutil.which("gcc")
    assert compiler
    sanitized = [compiler, "-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    (folder / "nothing.c").write_text("int main(void) { return 0; }\n")
    if subprocess.run([*sanitized, folder / "nothing.c", "-o", folder / "nothing"], check=False).returncode:
        pytest.skip("this compiler has no sanitizers")
    warnings = ["-Wall", "-Wextra", "-Werror", "-Wno-psabi"]
    headers = Path(str(media_gateway.core.__file__)).parent
    made = folder / "hostile_frames"
    subprocess.run([*sanitized, *warnings, f"-I{headers}", HERE / "hostile_frames.c", "-o", made], check=True)
    return made


@pytest.mark.parametrize("seed", [1, 2])
def test_nothing_is_read_or_written_beside_a_buffer(program: Path, seed: int) -> None:
    answer = subprocess.run([program, MESSAGE, str(ROUNDS), str(seed)], capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    taken, left = (int(part.split()[0]) for part in answer.stdout.split(", "))
    assert taken + left == ROUNDS
    assert taken > ROUNDS / 200, "some mutations are harmless, so that valid frames are decoded as well"
    assert left > ROUNDS / 2
