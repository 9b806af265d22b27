"""Contacts that a city's policy reserves: nobody is asked before they are approved."""

import shutil
from pathlib import Path

import pytest
from event_schemas.codes import NeedStatus
from event_schemas.referrals import NeedApprovalRequested, NeedMatched, OfferMade
from handoff_kit.cities import city_folder
from handoff_kit.settings import CoreSettings
from referral_svc.settings.policy import FILES


@pytest.fixture
def core_settings(core_settings: CoreSettings, tmp_path: Path) -> CoreSettings:
    """The demo city, but its senior inspectors approve every food referral."""
    folder = tmp_path / "strict-city"
    folder.mkdir()
    for name in FILES:
        shutil.copy(city_folder("demo") / name, folder / name)
    table = folder / "routing.yaml"
    rule = "    when: {category: food-insecurity}\n"
    assert rule in table.read_text()
    table.write_text(table.read_text().replace(rule, rule + "    approval: [senior-inspector]\n"))
    return core_settings.model_copy(update={"city": str(folder)})


@pytest.fixture
async def a_need_that_waits(town, tools):
    need = tools.need(urgency="routine")
    events = await town.asks(need)
    assert tools.only(NeedApprovalRequested, events).approvers == ["senior-inspector"]
    assert not [e for e in events if isinstance(e, OfferMade | NeedMatched)]
    return need


async def test_nobody_is_asked_before(a_need_that_waits, manager) -> None:
    need = a_need_that_waits
    (shown,) = (await manager.get(f"/cases/{need.case_id}")).json()["needs"]
    assert (shown["status"], shown["attention"]) == ("approval-pending", "approval")
    refused = await manager.post(f"/needs/{need.need_id}/offers")
    assert refused.status_code == 409
    assert set(refused.json()["allowed"]) == {"approve", "give-up", "withdraw"}


async def test_who_may_approve_lets_it_go_ahead(a_need_that_waits, town, tools, person) -> None:
    path = f"/needs/{a_need_that_waits.need_id}/approve"
    answer = await person("senior-inspector").post(path)
    assert answer.status_code == 200, answer.text
    assert answer.json()["status"] == "offered"
    events = await town.said()
    assert tools.only(NeedMatched, events).status is NeedStatus.OFFERED
    assert tools.only(OfferMade, events).need_id == a_need_that_waits.need_id


async def test_who_may_not_does_not(a_need_that_waits, town, person, manager) -> None:
    path = f"/needs/{a_need_that_waits.need_id}/approve"
    assert (await person("coordinator").post(path)).status_code == 403
    assert (await manager.post(path)).status_code == 403
    assert await town.said() == []
