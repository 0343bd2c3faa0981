from __future__ import annotations

from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, Field, ValidationError, field_validator

from bridge_common.base.fault_texts import in_words, known_fields, location, matching, printable, unknown_field


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
        ("count", "many", "must be an integer"),
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


@pytest.mark.parametrize("value", [True, False])
def test_booleans_in_place_of_words_are_explained(value: bool) -> None:
    with pytest.raises(ValidationError) as caught:
        Sample.model_validate({"level": value, "own": value})
    texts = [in_words(dict(problem)) for problem in caught.value.errors()]
    trap = "; YAML reads no, yes, on and off as true or false: put the word in quotes"
    assert texts == [f"must be 'low' or 'high'{trap}", f"must be a string{trap}"]


def test_a_caller_can_have_words_of_its_own() -> None:
    problem = {"type": "missing", "msg": "Field required"}
    assert in_words(problem) == "is not set"
    assert in_words(problem, {"missing": "is missing"}) == "is missing"


def test_locations_name_the_entries_of_lists() -> None:
    content = {"a": {"tools": [{"name": "pay"}, {"label": "shop"}, {}]}}
    assert location(("a", "tools", 0, "url"), content) == "a.tools[0] (pay).url"
    assert location(("a", "tools", 1), content) == "a.tools[1] (shop)"
    assert location(("a", "tools", 2, "url"), content) == "a.tools[2].url"
    assert location(("a", "tools", 9, "url"), content) == "a.tools[9].url"
    assert location(("header", "X Y", "[key]")) == "header.X Y (name)"
    assert location(("headers", "X", "<secret>", "prefix")) == "headers.X.prefix", "tags of unions are left out"
    assert location(()) == ""


def test_names_in_locations_are_short_and_printable() -> None:
    assert location(("a\nb\ud800" + "c" * 100,)) == "a?b?" + "c" * 60
    assert printable("x\r\n") == "x??"


class Outer(BaseModel):
    inner: dict[str, Sample] | None = None
    many: tuple[Sample, ...] = ()
    parts: dict[str, Annotated[float, Field(ge=0, le=100)]] | None = None
    sizes: tuple[Annotated[int, Field(ge=2, le=4)], ...] = ()
    least: Annotated[int, Field(ge=1)] | None = None
    either: Annotated[int, Field(ge=1, le=2)] | Annotated[float, Field(ge=3, le=4)] = 1


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"inner": {"x": {"count": 6}}}, "must be between 1 and 5"),
        ({"inner": {"count": {"count": 0}}}, "must be between 1 and 5"),
        ({"many": [{}, {"count": 0}]}, "must be between 1 and 5"),
        ({"many": [{"share": 1}]}, "must be below 1"),
        ({"parts": {"x": 101}}, "must be between 0 and 100"),
        ({"sizes": [3, 5]}, "must be between 2 and 4"),
        ({"least": 0}, "must be 1 or more"),
    ],
)
def test_both_limits_of_a_number_are_named(values: dict[str, object], words: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Outer.model_validate(values)
    assert [in_words(dict(problem), None, Outer) for problem in caught.value.errors()] == [words]


def test_the_limits_of_alternatives_are_not_mixed() -> None:
    with pytest.raises(ValidationError) as caught:
        Outer.model_validate({"either": 9})
    texts = [in_words(dict(problem), None, Outer) for problem in caught.value.errors()]
    assert texts == ["must be 2 or less", "must be 4 or less"]


def test_the_known_fields_of_a_location() -> None:
    assert known_fields(Outer, ()) == list(Outer.model_fields)
    for loc in (("many", 0), ("inner", "name")):
        assert known_fields(Outer, loc) == list(Sample.model_fields)


def test_an_unknown_field_with_spaces_may_be_a_text() -> None:
    assert unknown_field("lvl", ["level", "own"]) == "is unknown; known fields are level, own"
    assert unknown_field("how are you", ["text"]).endswith("put the whole string in quotes")


def test_a_pattern_has_words() -> None:
    checked = matching("[a-z]+", "must be lower case")
    assert checked("abc") == "abc"
    for wrong in ("", "A", "abc\n"):
        with pytest.raises(ValueError, match="must be lower case"):
            checked(wrong)
