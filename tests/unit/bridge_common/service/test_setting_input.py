from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, Field, ValidationError, field_validator

from bridge_common.base.errors import InputError
from bridge_common.service.setting_input import in_words, read_setting_file


class Sample(BaseModel, extra="forbid"):
    flag: bool = False
    count: Annotated[int, Field(ge=1, le=5)] = 1
    share: Annotated[float, Field(gt=0, lt=1)] = 0.5
    level: Literal["low", "high"] = "low"
    own: str = ""

    @field_validator("own")
    @classmethod
    def _own(cls, value: str) -> str:
        if value:
            raise ValueError("has to be empty")
        return value


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("flag", "maybe", "must be true or false"),
        ("count", "many", "must be a whole number"),
        ("count", "0", "must be 1 or more"),
        ("count", "6", "must be 5 or less"),
        ("share", "x", "must be a number"),
        ("share", "0", "must be above 0"),
        ("share", "1", "must be below 1"),
        ("level", "mid", "must be 'low' or 'high'"),
        ("own", "x", "has to be empty"),
        ("other", "x", "is unknown"),
    ],
)
def test_a_mistake_in_words(field: str, value: str, words: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Sample.model_validate({field: value})
    assert [in_words(dict(problem)) for problem in caught.value.errors()] == [words]


def test_a_file_is_read_up_to_its_limit(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"12345")
    assert read_setting_file(path, 5) == b"12345"
    with pytest.raises(InputError, match="more than 4 bytes"):
        read_setting_file(path, 4)


@pytest.mark.parametrize(("path", "why"), [("/dev/zero", "not a regular file"), ("/", "."), ("/x\0", "null")])
def test_what_is_no_file_is_refused(path: str, why: str) -> None:
    with pytest.raises(InputError, match=why):
        read_setting_file(Path(path), 10)
