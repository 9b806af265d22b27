"""Where the cities' folders are: policy, code packs and maps, one folder a city."""

import os
from pathlib import Path

VARIABLE = "HANDOFF_CITIES"
CITY_FILE = "city.yaml"
"""What makes a folder a city; a folder without it holds only maps or code packs."""


class CityNotFound(LookupError):
    """No such city folder; the message lists those that are there."""

    def __str__(self) -> str:
        return str(self.args[0])


def cities_folder() -> Path:
    """The folder of all cities: ``HANDOFF_CITIES``, else ``deploy/cities`` of this repository.

    Raises `CityNotFound` where there is neither.
    """
    given = os.environ.get(VARIABLE)
    if given:
        folder = Path(given)
        if not folder.is_dir():
            raise CityNotFound(f"{VARIABLE} is '{given}', which is no folder")
        return folder
    for parent in Path(__file__).resolve().parents:
        folder = parent / "deploy" / "cities"
        if folder.is_dir():
            return folder
    raise CityNotFound(f"there is no folder deploy/cities; name one in {VARIABLE}")


def city_folder(name_or_path: str) -> Path:
    """The folder of a city, by its name under `cities_folder` or by a path.

    A bare name is first looked for among the shipped cities. Raises `CityNotFound`.
    """
    is_name = bool(name_or_path) and Path(name_or_path).name == name_or_path
    if is_name and name_or_path not in {".", ".."}:
        shipped = cities_folder() / name_or_path
        if shipped.is_dir():
            return shipped
    path = Path(name_or_path)
    if name_or_path and path.is_dir():
        return path
    if not is_name:
        raise CityNotFound(f"'{name_or_path}' is no folder")
    known = sorted(entry.parent.name for entry in cities_folder().glob(f"*/{CITY_FILE}"))
    raise CityNotFound(
        f"there is no city '{name_or_path}' in {cities_folder()}; "
        f"there are: {', '.join(known) or 'none'}"
    )
