from pathlib import Path

import pytest
from handoff_kit.cities import CityNotFound, cities_folder, city_folder


@pytest.fixture
def cities(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "cities" / "springfield").mkdir(parents=True)
    (tmp_path / "cities" / "springfield" / "city.yaml").touch()
    (tmp_path / "cities" / "only-maps").mkdir()
    monkeypatch.setenv("HANDOFF_CITIES", str(tmp_path / "cities"))
    return tmp_path / "cities"


def test_the_shipped_cities_are_found_without_a_setting(monkeypatch) -> None:
    monkeypatch.delenv("HANDOFF_CITIES", raising=False)
    assert cities_folder().parts[-2:] == ("deploy", "cities")


def test_a_city_by_name_and_by_path(cities: Path) -> None:
    assert city_folder("springfield") == cities / "springfield"
    assert city_folder(str(cities / "springfield")) == cities / "springfield"


def test_a_bare_name_means_the_shipped_city_first(cities: Path, monkeypatch) -> None:
    elsewhere = cities.parent / "elsewhere"
    (elsewhere / "springfield").mkdir(parents=True)
    (elsewhere / "shelbyville").mkdir()
    monkeypatch.chdir(elsewhere)
    assert city_folder("springfield") == cities / "springfield"
    assert city_folder("shelbyville") == Path("shelbyville")


def test_what_is_not_there_is_said(cities: Path, monkeypatch) -> None:
    with pytest.raises(CityNotFound, match=r"no city 'ogdenville'.* there are: springfield$"):
        city_folder("ogdenville")
    with pytest.raises(CityNotFound, match="'a/b' is no folder"):
        city_folder("a/b")
    with pytest.raises(CityNotFound):
        city_folder("")
    monkeypatch.setenv("HANDOFF_CITIES", str(cities / "gone"))
    with pytest.raises(CityNotFound, match="HANDOFF_CITIES is"):
        cities_folder()
