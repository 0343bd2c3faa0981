"""Parties as people write them in settings, and as ACS names them (raw ids)."""

from __future__ import annotations

import re
from typing import Final

from bridge_common.base.errors import InputError

_NUMBER: Final = re.compile(r"\+[1-9][0-9]{4,14}")
_RAW_ID: Final = re.compile(r"4:\+[1-9][0-9]{4,14}|(8:acs:|8:orgid:|28:orgid:)[0-9A-Za-z_.-]{1,200}")


def raw_id_of(text: str) -> str:
    """`+18005551212` or a raw id (`4:+1800…`, `8:acs:…`, `8:orgid:…`, `28:orgid:…`) as a raw id.

    Raises `InputError` for anything else.
    """
    text = text.strip()
    if _NUMBER.fullmatch(text):
        return f"4:{text}"
    if _RAW_ID.fullmatch(text):
        return text
    raise InputError(f"{text!r} is neither +<number> nor a raw id 4:+…, 8:acs:…, 8:orgid:…, 28:orgid:…")
