"""Names that others read: nothing unseen in them, and nothing that turns what stands beside."""

import pytest
from handoff_kit.text import made_plain, plain


@pytest.mark.parametrize(
    "name",
    [
        "",
        "Example Food Pantry",
        "Caf\u00e9 \u2013 Se\u00f1or O\u2019Neill",
        "\u0645\u06cc\u200c\u062e",
        "\u4e2d\u6587",
        "\U0001f35e",
    ],
)
def test_names_of_all_scripts_are_plain(name: str) -> None:
    assert plain(name) == name


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("a\x00", "Character 2 is U+0000 (a control character)"),
        ("one\ntwo", "Character 4 is U+000A"),
        ("a\x85b", "U+0085"),
        ("pay\u202eexe.moc", "Character 4 is U+202E (RIGHT-TO-LEFT OVERRIDE)"),
        ("\u2066a", "U+2066 (LEFT-TO-RIGHT ISOLATE)"),
        ("a\u200bb", "U+200B (ZERO WIDTH SPACE)"),
        ("a\u2028b", "U+2028 (LINE SEPARATOR)"),
        ("a\U000e0041", "U+E0041 (TAG LATIN CAPITAL LETTER A)"),
    ],
)
def test_what_is_not_is_named_with_its_place(name: str, told: str) -> None:
    with pytest.raises(ValueError, match="take it out") as refused:
        plain(name)
    assert told in str(refused.value)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("Pantry", "Pantry"),
        ("Panty\u202e kooC", "Panty kooC"),
        ("\u2066Pantry\u2069", "Pantry"),
        ("Pan\u200btry\ufeff", "Pantry"),
        ("Pan\x07try\x9b", "Pantry"),
        ("Food\r\nPantry\u2028North", "Food Pantry North"),
        ("Pan\u200dtry", "Pantry"),
        ("\u0646\u0627\u0646\u200c\u0648\u0627", "\u0646\u0627\u0646\u200c\u0648\u0627"),
        ("Caf\u00e9 \u2014 \u98df", "Caf\u00e9 \u2014 \u98df"),
        ("\u202e", ""),
    ],
)  # fmt: skip
def test_a_name_made_plain_can_be_seen_and_reads_one_way(given, kept):
    assert made_plain(given) == kept
    assert plain(kept) == kept
