import pytest
from hypothesis import given
from hypothesis import strategies as st
from intake_svc.domain.properties import (
    Located,
    code_key,
    keys_to_store,
    learned,
    plain,
    street_key,
    unit_key,
)
from intake_svc.domain.residents import likeness_key, name_key, phone_key


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("12 Example Street", "3B"), ("12 EXAMPLE ST.", "Apt. 3-B")),
        (("12  Example   St", "3b"), ("12 example st, #3B", None)),
        (("12 Example St Apt 3B", None), ("12 Example Street", "unit 3b")),
        (("4 North Harbor Avenue", None), ("4 N. Harbor Av", "")),
        (("7 O'Neil Boulevard", None), ("7 ONeil Blvd", None)),
        (("9 Café Road", "Floor 2"), ("9 CAFE RD", "fl 2")),
        (("10-12 Main St", None), ("10 12 Main Street", None)),
    ],
)
def test_the_same_address_in_other_words(
    one: tuple[str, str | None], other: tuple[str, str | None]
) -> None:
    assert street_key(*one) == street_key(*other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("12 Example St", "3B"), ("12 Example St", "3C")),
        (("12 Example St", None), ("12 Example St", "1")),
        (("12 Example St", None), ("12 Example Ave", None)),
        (("112 Main St", None), ("11 2 Main St", None)),
    ],
)
def test_other_addresses(one: tuple[str, str | None], other: tuple[str, str | None]) -> None:
    assert street_key(*one) != street_key(*other)


@given(st.text(max_size=60))
def test_plain_is_idempotent(text: str) -> None:
    assert plain(plain(text)) == plain(text)


words = st.lists(
    st.text(st.characters(codec="ascii", categories=("L", "N")), min_size=1, max_size=8),
    min_size=1,
    max_size=4,
).map(" ".join)


@given(words, st.one_of(st.none(), words))
def test_a_street_key_is_idempotent(line1: str, unit: str | None) -> None:
    street, _, number = street_key(line1, unit).partition("|")
    assert street_key(street, number or None) == f"{street}|{number}"


@given(
    words, st.sampled_from([str.upper, str.title, str.lower]), st.sampled_from([" ", "  ", ", "])
)
def test_case_and_spaces_are_nothing(line1: str, case: object, gap: str) -> None:
    assert street_key(case(line1).replace(" ", gap), None) == street_key(line1, None)  # type: ignore[operator]


@given(words)
def test_a_unit_key_is_idempotent(unit: str) -> None:
    assert unit_key(unit_key(unit)) == unit_key(unit)


def test_parcel_ids_without_punctuation() -> None:
    assert code_key("07-0123.000") == code_key("070123 000")


HOUSE = {"line1": "12 Example St", "latitude": 42.3918, "longitude": -71.0328}


def test_keys_come_surest_first() -> None:
    place = {"parcel_id": "P 1", "address_id": "77", "postal_code": "02150-1234", **HOUSE}
    assert Located.of(place).ways() == [
        "parcel:p1",
        "id:77",
        "address:12 example st||02150",
        "address:12 example st|",
        "point:42.39180,-71.03280",
    ]


def test_a_point_is_a_metre() -> None:
    near = Located.of({"latitude": 42.3918004, "longitude": -71.0327996})
    assert near.ways() == Located.of(HOUSE).ways()[-1:]


@pytest.mark.parametrize(
    ("report", "known", "key", "same"),
    [
        ({"parcel_id": "1"}, {"parcel_id": "1", "line1": "9 Other St"}, "parcel:1", True),
        ({**HOUSE, "parcel_id": "2"}, {**HOUSE, "parcel_id": "1"}, "address:12 example st|", False),
        (HOUSE, {**HOUSE, "parcel_id": "1"}, "address:12 example st|", True),
        (
            {**HOUSE, "postal_code": "02150"},
            {**HOUSE, "postal_code": "02151"},
            "address:12 example st|",
            False,
        ),
        (HOUSE, {**HOUSE, "unit": "2"}, "point:42.39180,-71.03280", False),
        (
            {"latitude": 42.3918, "longitude": -71.0328},
            {**HOUSE, "unit": "2"},
            "point:42.39180,-71.03280",
            True,
        ),
        (
            {**HOUSE, "address_id": "5"},
            {**HOUSE, "address_id": "6"},
            "point:42.39180,-71.03280",
            False,
        ),
        (
            {"address_id": "5", "parcel_id": "1"},
            {"address_id": "5", "parcel_id": "2"},
            "id:5",
            False,
        ),
    ],
)
def test_surer_facts_may_say_no(
    report: dict[str, object], known: dict[str, object], key: str, same: bool
) -> None:
    assert Located.of(report).may_be(Located.of(known), key) is same


def test_the_address_with_its_town_is_kept_only_where_the_bare_one_is_taken() -> None:
    located = Located.of({**HOUSE, "postal_code": "02150"})
    bare, full = "address:12 example st|", "address:12 example st||02150"
    assert full not in keys_to_store(located, [])
    assert keys_to_store(located, [bare])[0] == full


def test_learning_fills_what_is_not_known_and_keeps_what_is() -> None:
    known = {"line1": "12 Example St", "unit": "2"}
    told = {"line1": "12 Example Street", "city": "Testville", "parcel_id": "1"}
    assert learned(known, told) == {**known, "parcel_id": "1"}
    assert learned(known, {"line1": "x"}) is None


@pytest.mark.parametrize("other", ["Resident  ONE", "one, resident", "Résident One"])
def test_a_name_in_other_writing(other: str) -> None:
    assert name_key(other) == name_key("Resident One")


@pytest.mark.parametrize("other", ["Resyident One", "Residdent Onne", "Resideint One"])
def test_a_like_name_is_alike_and_not_the_same(other: str) -> None:
    assert name_key(other) != name_key("Resident One")
    assert likeness_key(name_key(other)) == likeness_key(name_key("Resident One"))


@given(st.text(max_size=40))
def test_names_never_fail(name: str) -> None:
    assert name_key(name_key(name)) == name_key(name)
    likeness_key(name_key(name))


def test_phones() -> None:
    assert phone_key("+1 (617) 555-0111") == phone_key("617.555.0111") == "6175550111"
    assert phone_key("911") == ""
