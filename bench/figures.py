"""What a bench finds: figures of some rounds, ratios taken within a round, goals met or missed."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Figure:
    """Median, least and most of some rounds."""

    median: float
    min: float
    max: float

    @staticmethod
    def of(values: Sequence[float]) -> "Figure":
        return Figure(statistics.median(values), min(values), max(values))

    def as_json(self) -> dict[str, float]:
        return {name: round(value, 4) for name, value in vars(self).items()}


@dataclass(frozen=True)
class Goal:
    """``met`` is None where what it compares with could not be measured."""

    text: str
    met: bool | None


@dataclass
class Result:
    """One line of the table.

    ``ours``, ``peers`` and ``limit`` hold one value a round, in ``unit``; ``higher`` says which
    way is better. ``others`` are further figures of the same rounds, named with their unit.
    """

    id: str
    what: str
    unit: str
    ours: list[float]
    log: str | None = None
    peers: dict[str, list[float]] = field(default_factory=dict)
    limit: list[float] = field(default_factory=list)
    limit_is: str = ""
    higher: bool = True
    goals: list[Goal] = field(default_factory=list)
    others: dict[str, list[float]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def better_than(self, other: Sequence[float]) -> Figure | None:
        """How many times better ours is than *other*, by round; None where it was not measured."""
        pairs = list(zip(self.ours, other, strict=False))
        if not pairs:
            return None
        return Figure.of([a / b if self.higher else b / a for a, b in pairs])

    def of_limit(self) -> Figure | None:
        """Which part of the limit ours reaches, 1 being all of it."""
        return self.better_than(self.limit)

    def times(self, least: float) -> None:
        """Goal: at least *least* times better than every peer."""
        found = [r for values in self.peers.values() if (r := self.better_than(values))]
        met = all(r.median >= least for r in found) if found else None
        self.goals.append(Goal(f">= {least:g} x peers", met))

    def share(self, least: float) -> None:
        """Goal: at least this part of the limit."""
        found = self.of_limit()
        met = found.median >= least if found else None
        self.goals.append(Goal(f">= {least:.0%} of the limit", met))

    def at_most(self, values: Sequence[float], most: float, text: str) -> None:
        """Goal: the median of *values* is no more than *most*."""
        met = statistics.median(values) <= most if values else None
        self.goals.append(Goal(text, met))

    @property
    def met(self) -> bool | None:
        """False if a goal was missed, None if one could not be judged."""
        verdicts = [goal.met for goal in self.goals]
        if False in verdicts:
            return False
        return None if None in verdicts or not verdicts else True

    def as_json(self) -> dict[str, Any]:
        ratios = {name: self.better_than(values) for name, values in self.peers.items()}
        return {
            "id": self.id,
            "what": self.what,
            "log": self.log,
            "unit": self.unit,
            "rounds": len(self.ours),
            "ours": Figure.of(self.ours).as_json(),
            "peers": {name: Figure.of(v).as_json() for name, v in self.peers.items() if v},
            "limit": Figure.of(self.limit).as_json() if self.limit else None,
            "limit_is": self.limit_is or None,
            "times_better": {n: r.as_json() for n, r in ratios.items() if r is not None},
            "of_limit": r.as_json() if (r := self.of_limit()) else None,
            "others": {name: Figure.of(v).as_json() for name, v in self.others.items() if v},
            "goal": "; ".join(goal.text for goal in self.goals) or None,
            "goals": [{"goal": goal.text, "met": goal.met} for goal in self.goals],
            "met": self.met,
            "notes": self.notes,
        }
