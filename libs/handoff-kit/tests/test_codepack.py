from datetime import date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from event_schemas.codes import NeedCategory, Severity
from handoff_kit.cities import cities_folder
from handoff_kit.codepack import CodePack, DeadlineRule, Finding, assess, load_code_pack
from handoff_kit.yamlfile import FileRefused
from hypothesis import given
from hypothesis import strategies as st

ZONE = ZoneInfo("America/New_York")
ISSUED = datetime(2024, 3, 8, 9, 30, tzinfo=ZONE)  # a Friday, the clocks go forward on Sunday


@pytest.fixture
def pack() -> CodePack:
    return CodePack.model_validate(
        {
            "version": "1",
            "schemes": {
                "city": {
                    "class_severity": {"A": "low", "C": "severe"},
                    "class_deadline": {"A": {"days": 90, "basis": "class-a"}, "I": "none"},
                    "codes": {
                        "116.2": {"severity": "severe", "property_needs": ["structural-danger"]},
                        "410.630(A)": {"severity": "severe", "section": "105-CMR-410.630(A)"},
                        "heat": {"deadline": {"hours": 24, "basis": "heat"}, "suggests": []},
                        "paper": {"severity": "low", "deadline": "none"},
                    },
                    "default": {"severity": "moderate", "deadline": {"days": 30, "basis": "d"}},
                }
            },
        }
    )


def test_a_listed_code(pack) -> None:
    found = assess(pack, Finding("city", "116.2"), ISSUED)
    assert found.severity is Severity.SEVERE
    assert found.property_needs == (NeedCategory.STRUCTURAL_DANGER,)
    assert (found.scheme, found.code) == ("city", "116.2")


@pytest.mark.parametrize(
    ("code", "class_", "severity", "basis"),
    [
        ("unknown", None, Severity.MODERATE, "d"),
        ("unknown", "C", Severity.SEVERE, "d"),
        ("unknown", "A", Severity.LOW, "class-a"),
        ("unknown", "I", Severity.MODERATE, None),
        (None, "A", Severity.LOW, "class-a"),
        ("paper", "C", Severity.SEVERE, None),
        ("paper", None, Severity.LOW, None),
        ("heat", "A", Severity.LOW, "heat"),
        ("heat", None, Severity.MODERATE, "heat"),
        (" HEAT", None, Severity.MODERATE, "heat"),
        ("410.630 (a)(3)", None, Severity.SEVERE, "d"),
        ("410.630", None, Severity.MODERATE, "d"),
    ],
)
def test_code_class_and_default(pack, code, class_, severity, basis) -> None:
    found = assess(pack, Finding("city", code, class_), ISSUED)
    assert (found.severity, found.deadline_basis) == (severity, basis)


def test_the_notice_wins(pack) -> None:
    due = datetime(2024, 4, 1, tzinfo=ZONE)
    found = assess(pack, Finding("city", "heat", deadline=due), ISSUED)
    assert (found.deadline, found.deadline_basis) == (due, "notice")
    found = assess(pack, Finding("city", "heat", deadline=due, deadline_basis="order"), ISSUED)
    assert found.deadline_basis == "order"


def test_an_unknown_scheme_says_nothing(pack) -> None:
    found = assess(pack, Finding("elsewhere", "1", "A"), ISSUED)
    assert (found.severity, found.deadline, found.deadline_basis) == (None, None, None)
    assert found.suggests == found.property_needs == ()


def test_hours_are_wall_time_days_are_calendar_days() -> None:
    friday = ISSUED.replace(day=9)
    assert DeadlineRule(hours=24, basis="x").after(friday) == datetime(
        2024, 3, 10, 10, 30, tzinfo=ZONE
    )
    assert DeadlineRule(days=1, basis="x").after(friday) == datetime(
        2024, 3, 10, 9, 30, tzinfo=ZONE
    )


def test_business_days_leave_out_weekends_and_holidays() -> None:
    rule = DeadlineRule(business_days=1, basis="x")
    assert rule.after(ISSUED).date() == date(2024, 3, 11)
    assert rule.after(ISSUED, {date(2024, 3, 11)}).date() == date(2024, 3, 12)


@given(st.integers(1, 60), st.dates(date(2000, 1, 1), date(2050, 1, 1)))
def test_business_days_end_on_one_and_count_them(days: int, day: date) -> None:
    at = datetime.combine(day, ISSUED.timetz())
    end = DeadlineRule(business_days=days, basis="x").after(at)
    assert end.weekday() < 5
    between = range(at.date().toordinal() + 1, end.date().toordinal() + 1)
    assert sum(date.fromordinal(one).weekday() < 5 for one in between) == days


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ("suggests: [pests]", "belongs under property_needs"),
        ("suggests: [mental-health]", "restricted kind"),
        ("property_needs: [food-insecurity]", "belongs under suggests"),
        ("suggests: [foot]", "Input should be"),
        ("deadline: {hours: 1, days: 2, basis: x}", "one of hours"),
        ("deadline: {hours: 1, basis: see the notice}", "match pattern"),
        ("severity: bad", "life-threatening"),
        ("sverity: low", "did you mean 'severity'"),
    ],
)
def test_errors_have_their_line(tmp_path: Path, rule: str, words: str) -> None:
    path = tmp_path / "codes.yaml"
    path.write_text(f"version: 1\nschemes:\n  city:\n    codes:\n      a:\n        {rule}\n")
    with pytest.raises(FileRefused) as refused:
        load_code_pack(path)
    assert {fault.line for fault in refused.value.faults} == {6}
    assert words in str(refused.value)


def test_the_same_code_twice_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "codes.yaml"
    path.write_text("version: 1\nschemes:\n  c:\n    codes:\n      r1 .2: {}\n      R1.2: {}\n")
    with pytest.raises(FileRefused, match=r"codes.yaml:6: .*same code as 'r1 .2'"):
        load_code_pack(path)


@pytest.mark.parametrize("path", sorted(cities_folder().glob("*/codes.yaml")), ids=str)
def test_shipped_packs_load(path: Path) -> None:
    assert load_code_pack(path).schemes


def test_new_york_classes_have_their_figures() -> None:
    pack = load_code_pack(cities_folder() / "new-york" / "codes.yaml")

    def figure(code: str, class_: str) -> object:
        found = assess(pack, Finding("nyc-hpd", code, class_), ISSUED)
        return found.severity, found.deadline and (found.deadline - ISSUED).days

    assert figure("508", "A") == ("low", 90)
    assert figure("508", "B") == ("moderate", 30)
    assert figure("508", "C") == ("severe", 1)
    assert figure("617", "C") == ("severe", 21)
    assert figure("666", "C") == ("severe", 1)
    assert figure("780", "I") == ("low", None)
