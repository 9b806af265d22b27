"""Everything that can be wrong in a city's folder, from the models of those who read it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

_OPTIONAL = frozenset({"areas.geojson"})
"""Without polygons a city knows an address's postcode alone."""


@dataclass
class CityFault:
    """One thing to mend: file, line (from 1; 0 where the whole file is meant), field, what."""

    file: str
    line: int
    field: str
    message: str

    def line_of_text(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        return f"{where}: {self.field + ': ' if self.field else ''}{self.message}"


def faults_of(folder: Path, *, whole: bool = False) -> list[CityFault]:
    """All faults of a city's files; empty: they may go into force.

    *whole*: a file that a running city needs and that is not there is a fault too.
    """
    return [*_routing(folder), *_others(folder, whole=whole)]


def _routing(folder: Path) -> Iterator[CityFault]:
    from referral_svc.settings.policy import check

    for fault in check(folder):
        yield CityFault(fault.file, fault.line, fault.field, fault.message)


def _others(folder: Path, *, whole: bool) -> Iterator[CityFault]:
    from handoff_kit.yamlfile import FileRefused

    for name, load in _readers().items():
        if not (folder / name).exists():
            if whole and name not in _OPTIONAL:
                yield CityFault(name, 0, "", "is not there")
            continue
        try:
            load(folder / name)
        except FileRefused as refused:
            for fault in refused.faults:
                yield CityFault(name, fault.line, fault.field, fault.message)
        except ValueError as error:  # Areas: the message names the feature.
            yield CityFault(name, 0, "", str(error).removeprefix(f"{folder / name}: "))


def _readers() -> dict[str, Callable[[Path], object]]:
    """Who reads which file."""
    from handoff_kit.codepack import load_code_pack
    from handoff_kit.yamlfile import load
    from intake_svc.handlers.areas import AreaIndex
    from intake_svc.handlers.city import ConsentPolicy
    from notify_svc.settings.policyfile import load_policy

    return {
        "consent.yaml": lambda path: load(path, ConsentPolicy),
        "codes.yaml": load_code_pack,
        "areas.geojson": AreaIndex.load,
        "notify.yaml": lambda path: load_policy(path.parent),
    }
