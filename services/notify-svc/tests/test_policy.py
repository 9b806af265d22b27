import textwrap
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from event_schemas.codes import RESTRICTED, NeedCategory
from handoff_kit.cities import city_folder
from handoff_kit.yamlfile import FileRefused
from hypothesis import given, settings
from hypothesis import strategies as st
from notify_svc.domain import audience, words
from notify_svc.domain.audience import Link, Relation
from notify_svc.domain.decide import Case, Consent, Happening, Known, Need, decide
from notify_svc.domain.policy import CODES, EVENTS, Channel, Once, Policy, Rule, faults
from notify_svc.settings import load_policy

NOW = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)
AGENCY = "test-city"

rules = st.builds(
    Rule,
    event=st.sampled_from(sorted(EVENTS)),
    tell=st.sampled_from(Relation),
    template=st.sampled_from(sorted(words.TEMPLATES)),
    channels=st.frozensets(st.sampled_from(Channel)),
    feedback=st.booleans(),
    once=st.sampled_from(Once),
)
ids = st.uuids(version=4)


@st.composite
def situations(draw: st.DrawFn) -> tuple[Happening, Known]:
    case_id, need_id = draw(ids), draw(ids)
    category = draw(st.sampled_from(sorted(NeedCategory)))
    restricted = category in RESTRICTED
    need = Need(
        agency_id=AGENCY,
        need_id=need_id,
        case_id=case_id,
        category=category,
        restricted=restricted,
        of_resident=draw(st.booleans()),
        referrer="referrer-one",
        referrer_role=draw(st.sampled_from(["inspector", "ambassador", "department", "system"])),
    )
    consents = [
        Consent(
            agency_id=AGENCY,
            consent_id=draw(ids),
            case_id=case_id,
            restricted=restricted,
            state=draw(st.sampled_from(["active", "withdrawn", "expired"])),
            feedback=draw(st.booleans()),
            categories=draw(st.lists(st.sampled_from(sorted(NeedCategory)), max_size=2))
            + draw(st.sampled_from([[], [category]])),
            granted_at=NOW - timedelta(days=draw(st.integers(0, 9))),
            expires_at=NOW + timedelta(days=draw(st.integers(-5, 5))),
        )
        for _ in range(draw(st.integers(0, 3)))
    ]
    type_ = draw(st.sampled_from(sorted(EVENTS)))
    organization = draw(ids)
    event = Happening(
        id=draw(ids),
        type=type_,
        agency_id=AGENCY,
        at=NOW,
        restricted=restricted,
        case_id=case_id,
        need_id=need_id,
        offer_id=draw(ids),
        organization_id=organization,
        category=category,
        codes={
            name: draw(st.sampled_from(sorted(CODES[name])))
            for name in sorted(EVENTS[type_] - {"about"})
        },
        approvers=("senior-inspector",),
    )
    known = Known(
        case=Case(AGENCY, case_id, restricted, draw(ids)),
        needs=[need],
        consents=consents,
        organization_names={organization: "Example Food Pantry"},
        now=NOW,
    )
    return event, known


@settings(max_examples=400, deadline=None)
@given(st.lists(rules, min_size=1, max_size=8), situations())
def test_no_policy_tells_anybody_more_than_it_may_know(
    asked: list[Rule], situation: tuple[Happening, Known]
) -> None:
    event, known = situation
    in_force = tuple(rule for rule in asked if not faults(rule))
    for notice in decide(event, known, Policy("test", in_force)):
        assert notice.params.keys() <= audience.MAY_READ[notice.relation]
        assert notice.links.keys() <= audience.MAY_LINK[notice.relation]
        family = notice.template.split(".", 1)[0]
        assert family == audience.TEMPLATE_FAMILY[notice.relation]
        for language in words.LANGUAGES:
            text = words.render(notice.template, notice.params, language)
            assert "{" not in text
            if notice.relation not in (Relation.CASE_MANAGEMENT, Relation.COORDINATOR):
                assert "Example Food Pantry" not in text
        holding = [c for c in known.consents if c.holds(NOW) and event.category in c.categories]
        newest = max(holding, key=lambda c: c.granted_at, default=None)
        of_resident = known.needs[0].of_resident
        match notice.relation:
            case Relation.REFERRER:
                assert not event.restricted
                assert notice.owner == "subject:referrer-one"
                if notice.template != audience.RECEIVED_TEMPLATE and of_resident:
                    assert newest is not None
                    assert any(c.feedback for c in holding if c.granted_at == newest.granted_at)
            case Relation.CITY_MANAGER:
                assert not event.restricted
                assert notice.links == {} and notice.params == {}
            case _:
                if of_resident and event.type not in audience.TOLD_WITHOUT_CONSENT:
                    assert newest is not None
        if event.restricted:
            assert notice.relation is Relation.TARGET
            assert notice.template == audience.RESTRICTED_TEMPLATE
            assert notice.params == {}


@given(situations())
@settings(max_examples=100, deadline=None)
def test_a_decision_made_again_has_the_same_ids(situation: tuple[Happening, Known]) -> None:
    event, known = situation
    policy = load_policy(city_folder("demo"))
    first, second = decide(event, known, policy), decide(event, known, policy)
    assert first == second
    assert len({notice.id for notice in first}) == len(first)
    assert all(notice.id.version == 4 for notice in first)


def test_what_a_policy_must_not_ask_for() -> None:
    def rule(**more: object) -> Rule:
        given = {
            "event": "offer.accepted",
            "tell": Relation.CASE_MANAGEMENT,
            "template": "manager.accepted",
            "channels": frozenset({Channel.FEED}),
        }
        return Rule(**{**given, **more})  # type: ignore[arg-type]

    assert faults(rule()) == []
    for wrong, field in (
        ({"event": "offer.sent"}, "event"),
        ({"template": "manager.sang"}, "template"),
        ({"template": "referrer.met"}, "template"),
        ({"tell": Relation.CITY_MANAGER}, "template"),
        ({"tell": Relation.OWNER, "template": "owner.endpoint-gone"}, "tell"),
        ({"tell": Relation.REFERRER, "template": "referrer.received"}, "feedback"),
        ({"channels": frozenset()}, "channels"),
        ({"when": {"outcome": frozenset({"got-help"})}}, "when.outcome"),
        ({"when": {"target_kind": frozenset({"friend"})}}, "when.target_kind"),
        (
            {
                "event": "case.reopened",
                "template": "manager.reopened",
                "once": Once.NEED,
            },
            "once",
        ),
    ):
        assert [name for name, _ in faults(rule(**wrong))] == [field], wrong


def test_an_error_names_its_line(tmp_path: Path) -> None:
    (tmp_path / "notify.yaml").write_text(
        textwrap.dedent(
            """\
            version: "1"
            rules:
              - event: need.settled
                tell: referrer
                template: referrer.met
                channels: [feed]
              - event: offer.made
                tell: target
                template: target.offer-made
                when: {target_kind: [friend]}
                channels: [feed]
            """
        )
    )
    with pytest.raises(FileRefused) as refused:
        load_policy(tmp_path)
    lines = str(refused.value).splitlines()
    assert ":3: field 'rules.0.feedback'" in lines[0]
    assert ":10: field 'rules.1.when.target_kind': no such target_kind: friend" in lines[1]


def test_the_demo_citys_policy_uses_every_sentence() -> None:
    used = {rule.template for rule in load_policy(city_folder("demo")).rules}
    by_code = {audience.RESTRICTED_TEMPLATE, "owner.endpoint-gone", "owner.endpoint-failing"}
    assert words.TEMPLATES.keys() == used | by_code


def test_every_sentence_and_every_kind_of_need_in_every_language() -> None:
    assert words.HELP.keys() == set(NeedCategory)
    for template, texts in words.TEMPLATES.items():
        assert len(texts) == len(words.LANGUAGES)
        assert template.split(".", 1)[0] in audience.TEMPLATE_FAMILY.values()
        relation = next(
            r for r, f in audience.TEMPLATE_FAMILY.items() if f == template.split(".", 1)[0]
        )
        assert words.fields_of(template) <= audience.MAY_READ[relation], template
        for need in NeedCategory:
            for language in ("en", "es", "es-PR", "zz"):
                text = words.render(template, {"help": need}, language)
                assert text.endswith(".")
                assert "{" not in text
    for need in RESTRICTED:
        assert words.HELP[need] == words.HELP[NeedCategory.UNSPECIFIED]


def test_who_is_addressed_where() -> None:
    organization = str(UUID(int=7))
    assert audience.owners_of("s", organization, ["partner"]) == [
        "subject:s",
        f"organization:{organization}",
    ]
    assert audience.owners_of("s", organization, ["inspector"]) == ["subject:s"]
    assert audience.owners_of("s", None, ["city-manager"]) == ["subject:s", "role:city-manager"]
    assert audience.manages("s", organization, ["partner"]) == f"organization:{organization}"
    assert audience.manages("s", organization, ["inspector"]) == "subject:s"


def test_links_are_ids_of_the_event() -> None:
    event = Happening(uuid4(), "offer.made", AGENCY, NOW, organization_id=uuid4())
    known = Known(None, [], [], {}, NOW)
    assert decide(event, known, load_policy(city_folder("demo"))) == []
    assert set(Link) == {"case_id", "need_id", "offer_id", "organization_id"}
