"""``notify.yaml`` of a city → `Policy`; every error names the line to mend."""

from pathlib import Path
from typing import Annotated, Literal

from handoff_kit import yamlfile
from handoff_kit.yamlfile import Misfit
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from notify_svc.domain.audience import Relation
from notify_svc.domain.policy import Channel, Once, Policy, Rule, faults

FILE = "notify.yaml"


class _Rule(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    event: str
    tell: Relation
    template: str
    channels: list[Channel]
    feedback: Literal["required"] | None = None
    once: Once = Once.EVENT
    when: dict[str, Annotated[list[str], Field(min_length=1)]] = {}

    def rule(self) -> Rule:
        return Rule(
            event=self.event,
            tell=self.tell,
            template=self.template,
            channels=frozenset(self.channels),
            feedback=self.feedback is not None,
            once=self.once,
            when={name: frozenset(wanted) for name, wanted in self.when.items()},
        )


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    version: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,39}$")]
    rules: Annotated[list[_Rule], Field(min_length=1)]

    @model_validator(mode="after")
    def _fits_the_walls(self) -> "_File":
        places: list[tuple[tuple[str | int, ...], str]] = [
            (("rules", number, *field.split(".")), message)
            for number, given in enumerate(self.rules)
            for field, message in faults(given.rule())
        ]
        if places:
            raise Misfit(places)
        return self


def load_policy(city: Path) -> Policy:
    """The policy in the folder of a city.

    Raises `yamlfile.FileRefused`, whose text has file, line, field and what to mend.
    """
    given = yamlfile.load(city / FILE, _File)
    return Policy(given.version, tuple(rule.rule() for rule in given.rules))
