"""Times as callers write them: RFC 3339 with an offset."""

import re
from typing import Annotated, Any

from pydantic import AwareDatetime, BeforeValidator
from pydantic_core import PydanticCustomError

_NUMBER = re.compile(r"\s*[+-]?(?:\d[\d_]*\.?\d*|\.\d+)(?:[eE][+-]?\d+)?\s*")


def _no_number(value: Any) -> Any:
    """Pydantic takes a bare number, also as a text, for seconds or milliseconds since 1970.

    Which of them was meant, and in whose time, it does not say.
    """
    if isinstance(value, int | float) or (isinstance(value, str) and _NUMBER.fullmatch(value)):
        raise PydanticCustomError(
            "time_as_number",
            "A time such as 2026-01-31T09:00:00-05:00 is needed; a bare number is none.",
        )
    return value


NO_NUMBER = BeforeValidator(_no_number)
Moment = Annotated[AwareDatetime, NO_NUMBER]
