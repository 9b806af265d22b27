"""The shipped mapping, and what a mapping file may not say."""

from pathlib import Path

import pytest
from event_schemas.codes import NeedCategory
from handoff_kit.yamlfile import FileRefused
from partner_svc.directory import load_terms
from partner_svc.directory.terms import is_opaque

SHIPPED = Path(__file__).resolve().parents[3] / "deploy" / "cities" / "terms"


@pytest.mark.parametrize("path", sorted(SHIPPED.glob("*.yaml")), ids=lambda path: path.stem)
def test_shipped_mappings_load_and_hold_no_licensed_codes(path):
    terms = load_terms(path)
    assert terms.name == path.stem
    assert not any(is_opaque("", key) for key in (*terms.terms, *terms.codes))


def test_open_eligibility_knows_the_common_terms():
    terms = load_terms(SHIPPED / "open-eligibility.yaml")
    assert terms.needs("", ["Food", "Food Pantry"]) == (NeedCategory.FOOD_INSECURITY,)
    assert terms.needs("", ["Emergency", "Immediate Safety", "Something new"]) == (
        NeedCategory.INTIMATE_PARTNER_VIOLENCE,
    )
    assert terms.needs("", ["Guardianship"]) == ()
    assert terms.needs("", ["Legal", "Advocacy & Legal Aid", "Guardianship"]) == (
        NeedCategory.LEGAL_HELP,
    )
    assert terms.needs("", ["Kites"]) is None


def test_two_mappings_join_and_the_second_has_the_last_word(tmp_path):
    own = tmp_path / "own.yaml"
    own.write_text("name: own\nterms: {Food: [material-hardship], Kites: [stress]}\n")
    terms = load_terms(SHIPPED / "open-eligibility.yaml").joined(load_terms(own))
    assert terms.needs("", ["food"]) == (NeedCategory.MATERIAL_HARDSHIP,)
    assert terms.needs("", ["Kites"]) == (NeedCategory.STRESS,)


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("name: x\nterms:\n  Food: [foood]\n", 3, "food-insecurity"),
        ("name: x\nterms:\n  Food: []\n  ' food ': []\n", 4, "same term"),
        ("name: x\nterm: {}\n", 2, "did you mean 'terms'"),
    ],
)
def test_a_faulty_mapping_is_refused_with_its_line(tmp_path, text, line, said):
    path = tmp_path / "own.yaml"
    path.write_text(text)
    with pytest.raises(FileRefused) as refused:
        load_terms(path)
    assert refused.value.faults[0].line == line
    assert said in refused.value.faults[0].message
