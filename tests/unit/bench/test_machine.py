from __future__ import annotations

import platform

from bench.machine import describe, machine, versions


def test_versions_name_what_is_there_and_what_is_not() -> None:
    found = versions()
    assert found["uvicorn"][0].isdigit()
    assert all(found.values())


def test_the_machine_is_told_in_a_few_lines() -> None:
    facts = machine()
    text = "\n".join(describe(facts))
    assert platform.python_version() in text
    assert f"{facts['cores']} cores" in text


def test_it_says_whether_the_services_are_those_that_are_shipped() -> None:
    """From here, where nothing but the *.pyx is compiled, they are not."""
    facts = machine()
    assert facts["compiled"] is False
    assert describe(facts)[-1] == "services from source, not compiled"
    assert describe(facts | {"compiled": True})[-1] == "services as shipped, compiled"
