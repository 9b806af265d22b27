"""A time is a text with its offset; a bare number says neither its unit nor whose time it is."""

import json

import pytest
from event_schemas.times import Moment
from pydantic import TypeAdapter, ValidationError

TIMES = TypeAdapter(Moment)


@pytest.mark.parametrize(
    "given", [1700000000, 1700000000.5, "1700000000", " 1.7e9 ", "-5", ".5", "20260131", True]
)
def test_a_bare_number_is_refused_with_a_word_on_what_is_needed(given: object) -> None:
    with pytest.raises(ValidationError) as refused:
        TIMES.validate_json(json.dumps(given))
    (error,) = refused.value.errors()
    assert error["type"] == "time_as_number"
    assert "2026-01-31T09:00:00-05:00" in error["msg"]


@pytest.mark.parametrize("given", ["", "tomorrow", "2026-01-31T09:00:00", "2026-01-31"])
def test_what_is_no_time_with_an_offset_is_refused_as_before(given: str) -> None:
    with pytest.raises(ValidationError) as refused:
        TIMES.validate_json(json.dumps(given))
    assert refused.value.errors()[0]["type"] != "time_as_number"


@pytest.mark.parametrize(
    "given", ["2026-01-31T09:00:00-05:00", "2026-01-31T14:00:00Z", "2026-01-31 14:00:00.5+00:00"]
)
def test_a_time_with_its_offset_is_taken(given: str) -> None:
    assert TIMES.validate_json(json.dumps(given)).utcoffset() is not None
