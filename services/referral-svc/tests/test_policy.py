"""A city's policy files: what is refused, on which line, and what a good one decides."""

import asyncio
import os
import re
import shutil
from pathlib import Path

import pytest
from event_schemas.codes import (
    PROPERTY_ONLY,
    RESTRICTED,
    ClockKind,
    NeedCategory,
    Reason,
    TargetKind,
    Urgency,
)
from handoff_kit.cities import city_folder
from handoff_kit.yamlfile import FileRefused
from referral_svc.app import follow_policy
from referral_svc.domain.routing import Then, choose, effective_urgency
from referral_svc.handlers.requested import facts_of
from referral_svc.handlers.world import World
from referral_svc.settings.policy import DEFAULT_REASONS, FILES, check, load_policy

DEMO = city_folder("demo")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in FILES:
        shutil.copy(DEMO / name, tmp_path / name)
    return tmp_path


def change(folder: Path, file: str, old: str, new: str) -> int:
    """Replace the first *old*; the line (from 1) on which it stood."""
    text = (folder / file).read_text()
    assert old in text
    (folder / file).write_text(text.replace(old, new, 1))
    return text[: text.index(old)].count("\n") + 1


def test_the_demo_city_is_in_order() -> None:
    assert check(DEMO) == []


@pytest.mark.parametrize(
    ("file", "old", "new", "field", "words"),
    [
        ("routing.yaml", "subject: property,", "subjekt: property,", "subjekt", "no condition"),
        (
            "routing.yaml",
            "when: {category: food-insecurity, urgency",
            "when: {category: food, urgency",
            "category",
            "'food' is no code",
        ),
        ("routing.yaml", "    clocks: silent", "    clocks: quiet", "clocks", "no clocks 'quiet'"),
        (
            "routing.yaml",
            "  rubbish: [public-works",
            "  rubbish: [sanitation",
            "departments.rubbish",
            "no organization 'sanitation'",
        ),
        (
            "routing.yaml",
            "  no-capacity: cool-off:capacity",
            "  no-capacity: cool-off:soon",
            "reasons.no-capacity",
            "",
        ),
        (
            "routing.yaml",
            "    clocks: silent\n",
            "    clocks: silent\n    max_trys: 3\n",
            "max_trys",
            "did you mean 'max_tries'",
        ),
        (
            "routing.yaml",
            "    answer: {hours: 2, source",
            "    answer: {hours: 2, business_hours: 2, source",
            "clocks.emergency.answer",
            "one of hours",
        ),
        (
            "routing.yaml",
            "    target: case-manager\n    clocks: silent",
            "    target: partner\n    clocks: silent",
            "target",
            "restricted kind",
        ),
        ("city.yaml", "case_management: case", "case_management: kase", "case_management", "kase"),
        (
            "city.yaml",
            "timezone: America/New_York",
            "timezone: America/Chelsea",
            "timezone",
            "IANA",
        ),
        ("calendar.yaml", '"8:00-12:00"', '"12:00-8:00"', "hours.friday", "window"),
        ("calendar.yaml", "  monday:", "  moonday:", "hours.moonday", "no weekday"),
        ("calendar.yaml", "date: 2026-01-01", "date: 2026-13-01", "date", ""),
    ],
)
def test_a_fault_names_its_line(folder, file, old, new, field, words) -> None:
    line = change(folder, file, old, new)
    faults = check(folder)
    assert faults
    assert [fault.file for fault in faults] == [file] * len(faults)
    near = [fault for fault in faults if abs(fault.line - line) <= 1]
    assert near, faults
    assert any(field in fault.field and words in fault.message for fault in near), near


def test_the_last_rule_fits_everything(folder) -> None:
    change(
        folder,
        "routing.yaml",
        "  - name: to-case-manager\n",
        "  - name: to-case-manager\n    when: {urgency: routine}\n",
    )
    assert "must fit every need" in check(folder)[0].message


def test_a_rule_behind_one_that_fits_everything_is_a_fault(folder) -> None:
    change(folder, "routing.yaml", "    when: {category: food-insecurity}\n", "")
    assert any("ever reached" in fault.message for fault in check(folder))


def test_every_file_is_looked_at(folder) -> None:
    change(folder, "city.yaml", "timezone: America/New_York", "timezone: Nowhere")
    (folder / "calendar.yaml").unlink()
    change(folder, "routing.yaml", 'version: "2026-01"', "versoin: x")
    assert {fault.file for fault in check(folder)} == set(FILES)
    with pytest.raises(FileRefused):
        load_policy(folder)


def test_the_version_follows_the_content(folder) -> None:
    before = load_policy(folder).version
    assert re.fullmatch(r"2026-01\+[0-9a-f]{8}", before)
    change(folder, "calendar.yaml", "8:00-16:00", "8:30-16:00")
    assert load_policy(folder).version != before


def test_every_reason_has_a_consequence() -> None:
    policy = load_policy(DEMO)
    assert set(DEFAULT_REASONS) == set(policy.reasons) == set(Reason)
    assert policy.reasons[Reason.NO_CAPACITY].until_capacity
    assert policy.reasons[Reason.RESIDENT_DECLINED].then is Then.ASK_RESIDENT


def test_the_demo_city_routes_as_it_promises(tools) -> None:
    policy = load_policy(DEMO)
    for category in frozenset(NeedCategory) - PROPERTY_ONLY:
        restricted = category in RESTRICTED
        rule = choose(policy, facts_of(tools.need(category=category, restricted=restricted)))
        partner = category == "food-insecurity"
        assert rule.target == (TargetKind.PARTNER if partner else TargetKind.CASE_MANAGER)
        assert (rule.name == "restricted") == restricted
        if restricted:
            assert not rule.clocks
            assert rule.otherwise is None
    for category in PROPERTY_ONLY:
        rule = choose(policy, facts_of(tools.property_need(category=category)))
        assert rule.target is TargetKind.DEPARTMENT
        assert rule.organizations


def test_emergencies_run_in_wall_time(tools) -> None:
    policy = load_policy(DEMO)
    need = tools.property_need(severity="life-threatening")
    clock = choose(policy, facts_of(need)).clocks[ClockKind.ANSWER_DUE]
    assert not clock.within.business
    assert clock.within.seconds == 2 * 3600


@pytest.mark.parametrize(
    ("urgency", "severity", "effective"),
    [
        ("routine", None, "routine"),
        ("routine", "life-threatening", "emergency"),
        ("routine", "severe", "urgent"),
        ("emergency", "low", "emergency"),
        ("urgent", "moderate", "urgent"),
        ("urgent", "severe", "urgent"),
    ],
)
def test_the_higher_of_two_axes_wins(urgency, severity, effective) -> None:
    assert effective_urgency(urgency, severity) is Urgency(effective)


async def test_a_faulty_change_leaves_the_old_policy_in_force(folder) -> None:
    world = World(load_policy(folder))
    old = world.policy.version
    stop = asyncio.Event()
    following = asyncio.create_task(follow_policy(world, folder, 0.01, stop))
    await asyncio.sleep(0.03)
    change(folder, "routing.yaml", "attempts_to_close: 3", "attempts_to_close: many")
    _touch(folder, 1)
    await asyncio.sleep(0.1)
    assert world.policy.version == old
    change(folder, "routing.yaml", "attempts_to_close: many", "attempts_to_close: 4")
    _touch(folder, 2)
    for _ in range(100):
        await asyncio.sleep(0.02)
        if world.policy.version != old:
            break
    assert world.policy.attempts_to_close == 4
    stop.set()
    await following


def _touch(folder: Path, later: int) -> None:
    """Two changes within the file system's tick are still two."""
    path = folder / "routing.yaml"
    stat = path.stat()
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns + later * 10**9))
