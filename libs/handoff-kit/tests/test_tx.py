"""What an event's headers give away."""

from datetime import UTC, datetime
from uuid import uuid4

import orjson
import pytest
from event_schemas.cases import CaseClosed
from event_schemas.codes import CaseStatus
from handoff_kit import sets
from handoff_kit.tx import Tx
from sqlmodel import Field, SQLModel

NOW = datetime(2026, 11, 20, 9, 15, 42, 123456, tzinfo=UTC)


@pytest.mark.parametrize(
    ("restricted", "said"),
    [(False, "2026-11-20T09:15:42.123456+00:00"), (True, "2026-11-20T09:15:00+00:00")],
)
def test_a_restricted_event_cannot_be_joined_by_its_set_s_time(restricted, said):
    tx = Tx(None, NOW, "toy")
    event = CaseClosed(
        case_id=uuid4(),
        restricted=restricted,
        at=NOW,
        version=1,
        status=CaseStatus.CLOSED,
        reason="needs-settled",
    )
    tx.emit(event, agency="test-city")
    (emitted,) = tx.emitted
    headers = orjson.loads(emitted.headers)
    assert headers["ce_time"] == said
    assert emitted.topic == ("handoff.restricted.cases" if restricted else "handoff.cases")


class Word(SQLModel, table=True):
    id: int = Field(primary_key=True)
    word: str


@pytest.mark.parametrize("value", [b"sealed", {1}, object()])
def test_a_value_that_is_no_column_s_is_refused_and_not_written_as_what_python_calls_it(value):
    with pytest.raises(TypeError):
        sets.inserting(Word, [{"id": 1, "word": value}])
