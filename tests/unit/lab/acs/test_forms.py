from __future__ import annotations

import pytest
from pydantic import ValidationError

from lab.acs.forms import CallForms


def test_the_first_value_of_a_form_is_its_default() -> None:
    for name, field in CallForms.model_fields.items():
        values = getattr(field.annotation, "__args__", ())
        assert not values or field.default == values[0], name


@pytest.mark.parametrize("form", [{"roster": "often"}, {"rooster": "once"}, {"roster_delay_s": -1}])
def test_an_unknown_form_is_refused(form: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        CallForms.model_validate(form)
