"""Cities' real files through the command into a running system: all of it, once, and nothing else.

What is expected is counted in the file by a CSV or JSON reader, never by ours. A second import of
the same file leaves every row as it was and says nothing on the log. Reading alone is tested in
``cli/tests`` and ``services/partner-svc/tests``.
"""

import asyncio
import csv
import json
import shutil
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from support.history import unsettled
from support.system import System, all_in_one, eventually

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]
CITY_MIDDLE = {"33.7700504", "-118.1937395"}  # Long Beach's geocoder, where it knows nothing.


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    with all_in_one(tmp_path_factory.mktemp("real-files") / "home") as running:
        yield running


def rows_of(path: Path, encoding: str = "utf-8-sig") -> list[dict[str, str]]:
    with path.open(encoding=encoding, newline="") as file:
        return list(csv.DictReader(file))


def bring(system: System, *arguments: str) -> dict[str, Any]:
    report: dict[str, Any] = json.loads(system.handoff("import", *arguments, "--json").stdout)
    return report


def ask(system: System, question: str, *values: object) -> list[Any]:
    """Rows as the database's owner sees them."""

    async def fetch() -> list[Any]:
        connection = await asyncpg.connect(system.admin_url)
        try:
            found: list[Any] = await connection.fetch(question, *values)
            return found
        finally:
            await connection.close()

    return asyncio.run(fetch())


def settle(system: System, seconds: float = 120) -> None:
    """Wait until no outbox holds anything and every group is at the head of its topics."""

    async def wait() -> None:
        connection = await asyncpg.connect(system.admin_url)
        until = asyncio.get_running_loop().time() + seconds
        try:
            while left := await unsettled(connection):
                assert asyncio.get_running_loop().time() < until, left
                await asyncio.sleep(0.1)
        finally:
            await connection.close()

    asyncio.run(wait())


# What an import may change: rows of these tables, and the log.
PLACES = ("intake.inspection", "intake.property", "intake.property_key", "intake.need")
DIRECTORY = ("partner.organization", "partner.service", "partner.location")


def state(system: System, tables: tuple[str, ...]) -> dict[str, tuple[int, str | None]]:
    """Number and hash of the rows of each table, and how much the log holds."""
    settle(system)
    found = {}
    for table in tables:
        (row,) = ask(
            system,
            "SELECT count(*) AS n, md5(string_agg(h, '' ORDER BY h)) AS h"
            f" FROM (SELECT md5(t::text) AS h FROM {table} t) x",
        )
        found[table] = (row["n"], row["h"])
    (log,) = ask(system, "SELECT count(*) AS n FROM bus.log")
    return found | {"bus.log": (log["n"], None)}


def said(system: System, topic: str, key: str) -> Counter[tuple[str, str]]:
    """How often the log says each (type, id) on a topic."""
    return Counter(
        (row["type"], row["id"])
        for row in ask(
            system,
            "SELECT headers::jsonb->>'ce_type' AS type,"
            " convert_from(value, 'UTF8')::jsonb->>$2 AS id FROM bus.log WHERE topic = $1",
            topic,
            key,
        )
    )


def inspections(system: System, source: str) -> dict[str, dict[str, Any]]:
    found = ask(
        system,
        "SELECT source_id, id::text AS id, status, revision, findings::text AS findings"
        " FROM intake.inspection WHERE source = $1",
        source,
    )
    return {row["source_id"]: {**row, "findings": json.loads(row["findings"])} for row in found}


def check_twice(
    system: System, source: str, arguments: list[str], taken: int, rejected: int, rows: int
) -> dict[str, dict[str, Any]]:
    """Import twice; returns what is there. The log says each inspection once, and each closing."""
    first = bring(system, "inspections", *arguments)
    told = {name: first[name] for name in ("taken", "unchanged", "corrected", "rejected", "rows")}
    assert told == {
        "taken": taken, "unchanged": 0, "corrected": 0, "rejected": rejected, "rows": rows,
    }  # fmt: skip
    before = state(system, PLACES)
    there = inspections(system, source)
    assert len(there) == taken
    assert {row["revision"] for row in there.values()} == {1}
    log = said(system, "handoff.inspections", "inspection_id")
    ids = {row["id"] for row in there.values()}
    recorded = {id_: n for (type_, id_), n in log.items() if "recorded" in type_ and id_ in ids}
    assert recorded == dict.fromkeys(ids, 1)
    closed = {id_: n for (type_, id_), n in log.items() if "closed" in type_ and id_ in ids}
    assert closed == {row["id"]: 1 for row in there.values() if row["status"] == "closed"}

    second = bring(system, "inspections", *arguments)
    assert (second["taken"], second["unchanged"], second["corrected"]) == (0, taken, 0)
    assert second["rejected"] == rejected
    assert state(system, PLACES) == before
    return there


# Inspections


def test_boston(system: System, real_data: Path, tmp_path: Path) -> None:
    file = real_data / "01_inspections/boston_ma/boston_isd_building_violations_2023-12-11.csv"
    rejects = tmp_path / "rejects.csv"
    rows = rows_of(file)
    cases: dict[str, list[dict[str, str]]] = defaultdict(list)
    for row in rows:
        if row["status_dttm"].strip():
            cases[row["case_no"].strip()].append(row)
    untimed = [n for n, row in enumerate(rows, start=2) if not row["status_dttm"].strip()]
    lost = {row["case_no"] for row in rows} - set(cases)

    there = check_twice(
        system, "boston-isd",
        [str(file), "--map", "boston", "--rejects", str(rejects)],
        taken=len(cases), rejected=len(lost), rows=len(rows),
    )  # fmt: skip

    assert set(there) == set(cases)
    for case, of_case in cases.items():
        findings = {
            (row["code"].strip(), row["status"].lower(), row["description"].strip())
            for row in of_case
        }
        kept = [(f["code"], f["status"]) for f in there[case]["findings"]]
        assert sorted(kept) == sorted((code, status) for code, status, _ in findings), case
        latest = max(row["status_dttm"] for row in of_case)
        open_ = any(r["status"] == "Open" for r in of_case if r["status_dttm"] == latest)
        assert there[case]["status"] == ("open" if open_ else "closed"), case
    assert [int(row["row"]) for row in rows_of(rejects)] == untimed
    assert rejects.stat().st_mode & 0o077 == 0


def test_long_beach(system: System, real_data: Path, tmp_path: Path) -> None:
    folder = real_data / "01_inspections/longbeach_ca"
    file = folder / "longbeach_open_cases_2016-11-04.csv"
    rows = rows_of(file)
    nowhere = {
        row["case_num"]
        for row in rows
        if not row["address"].strip() and {row["latitude"], row["longitude"]} <= CITY_MIDDLE | {""}
    }
    source = "long-beach-code-enforcement"
    rejects = tmp_path / "rejects.csv"
    arguments = [str(file), "--map", "long-beach", "--rejects", str(rejects)]
    there = check_twice(
        system, source, arguments,
        taken=len({row["case_num"] for row in rows}) - len(nowhere),
        rejected=len(nowhere), rows=len(rows),
    )  # fmt: skip
    assert set(there) == {row["case_num"] for row in rows} - nowhere
    assert {row["case_num"] for row in rows_of(rejects)} == nowhere

    # The same cases as JSON, a file each, are the same inspections.
    names = {path.stem for path in (folder / "original_json_district6").glob("*.json")}
    report = bring(
        system, "inspections", str(folder / "original_json_district6"), "--map", "long-beach",
        "--rejects", str(tmp_path / "json.csv"),
    )  # fmt: skip
    assert report["rows"] == len(names)
    assert report["taken"] == 0
    assert report["unchanged"] + report["corrected"] + report["rejected"] == len(names)
    assert {key: row["id"] for key, row in inspections(system, source).items()} == {
        key: row["id"] for key, row in there.items()
    }


def test_new_york(system: System, real_data: Path) -> None:
    folder = real_data / "01_inspections/nyc_hpd"
    file = folder / "nyc_hpd_violations_100.csv"
    rows = rows_of(file)
    there = check_twice(
        system, "nyc-hpd-violations", [str(file), "--map", "new-york"],
        taken=len(rows), rejected=0, rows=len(rows),
    )  # fmt: skip
    assert {key: (row["findings"][0]["class"], row["status"]) for key, row in there.items()} == {
        row["ViolationID"]: (
            row["Class"], {"Open": "open", "Close": "closed"}[row["ViolationStatus"]]
        )
        for row in rows
    }  # fmt: skip

    complaints = rows_of(folder / "nyc_hpd_complaints_problems_sample.csv")
    there = check_twice(
        system, "nyc-hpd-complaints",
        [str(folder / "nyc_hpd_complaints_problems_sample.csv"), "--map", "new-york"],
        taken=len({row["Complaint ID"] for row in complaints}), rejected=0, rows=len(complaints),
    )  # fmt: skip
    assert set(there) == {row["Complaint ID"] for row in complaints}


# Directories


@dataclass(frozen=True)
class Feed:
    """A directory of the shared data, and where its services stand in it."""

    path: str
    services: str

    def ids(self, root: Path) -> list[str]:
        """The services' ids, one a row, as the feed has them."""
        path = root / self.path
        if path.is_file():
            return [row["id"] for row in json.loads(path.read_text())[self.services]]
        if self.services.endswith(".csv"):
            return [row["id"] for row in rows_of(path / self.services)]
        return [json.loads(one.read_text())["id"] for one in (path / self.services).glob("*.json")]


FEEDS = {
    "baltimore": Feed("baltimore_charmcare_ohana_csv_real", "services.csv"),
    "ohana": Feed("ohana_sample_csv", "services.csv"),
    "hsds-1": Feed("hsds_transformer_base_fixture/output/data", "services.csv"),
    "hsds-2": Feed("hsds_sample_datapackage_2.0/all_resources", "services.csv"),
    "hsds-3-folder": Feed("mock_hsds_api_data", "services"),
    "hsds-3-tables": Feed("spec/hsds_3.0/examples/tabular.json", "services.csv"),
}


@pytest.mark.parametrize("name", FEEDS)
def test_a_directory_is_in_whole_and_once(
    system: System, real_data: Path, tmp_path: Path, name: str
) -> None:
    feed, root = FEEDS[name], real_data / "02_hsds"
    arguments = [str(root / feed.path), "--source", name, "--report", str(tmp_path / "r.csv")]
    ids = feed.ids(root)

    first = bring(system, "directory", *arguments)
    before = state(system, DIRECTORY)
    services = ask(
        system, "SELECT id::text AS id, version FROM partner.service WHERE source = $1", name
    )
    report = rows_of(tmp_path / "r.csv") if first["report_file"] else []
    refused = [row for row in report if row["kind"] == "refused"]
    without = {row["id"] for row in refused if row["table"] == "services"}
    # Every service is in the directory or in the report.
    assert len(services) == len(set(ids) - without)
    assert (first["services"], first["refused"]) == (len(services), len(refused))
    log = said(system, "handoff.directory", "service_id")
    changes = {row["id"]: log["handoff.service.changed.v1", row["id"]] for row in services}
    assert changes == {row["id"]: row["version"] for row in services}
    # Nobody's agreement comes from a file that somebody found.
    assert not ask(
        system,
        "SELECT 1 FROM partner.organization WHERE source = $1 AND agreement_active LIMIT 1",
        name,
    )

    second = bring(system, "directory", *arguments)
    assert second["changed"] == {"organizations": 0, "services": 0, "locations": 0}
    assert state(system, DIRECTORY) == before


def test_one_directory_under_many_files_names_stays_one(
    system: System, real_data: Path, tmp_path: Path
) -> None:
    """The standard's own example in each of its shapes; nobody says that they are one source."""
    folder = real_data / "02_hsds/spec/hsds_3.1-dev/examples"
    shapes = ("tabular.json", "csv", "service_full.json", "service_list.json")
    taken = [
        bring(system, "directory", str(folder / shape), "--report", str(tmp_path / "r.csv"))
        for shape in shapes
    ]
    assert [(one["services"], one["left"]) for one in taken] == [(1, 0)] * len(shapes)
    (source,) = {one["source"] for one in taken}
    rows = ask(
        system,
        "SELECT source, status FROM partner.service WHERE id = $1::uuid",
        "ac148810-d857-441c-9679-408f346de14b",
    )
    assert [tuple(row.values()) for row in rows] == [(source, "active")]


# Broken files: one clear line or a rejects file, and nothing half done


def refused(system: System, *arguments: str) -> str:
    """The one line of an import that is refused whole, after which nothing has changed."""
    tables = (*PLACES, *DIRECTORY)
    before = state(system, tables)
    done = system.handoff("import", *arguments, check=False)
    assert done.returncode == 1, done.stdout
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1, done.stderr
    assert state(system, tables) == before
    return done.stderr


@pytest.fixture(scope="module")
def boston_lines(real_data: Path) -> list[str]:
    """The header and some hundred rows; all of them one line, and cases of their own."""
    file = real_data / "01_inspections/boston_ma/boston_isd_building_violations_2023-12-11.csv"
    lines = file.read_text().splitlines()
    return [lines[0], *(f"NEW{line}" for line in lines[1:301])]


def test_inspections_in_another_encoding(
    system: System, boston_lines: list[str], tmp_path: Path
) -> None:
    text = "\n".join(boston_lines).replace("Milk", "Café")
    for encoding, fits in (("utf-16", "utf-16"), ("cp1252", "cp1252")):
        (tmp_path / "b.csv").write_text(text, encoding=encoding)
        said_ = refused(system, "inspections", str(tmp_path / "b.csv"), "--map", "boston")
        assert f"put 'encoding: {fits}' into the map" in said_


def test_inspections_without_a_column(
    system: System, boston_lines: list[str], tmp_path: Path
) -> None:
    text = "\n".join([boston_lines[0].replace("sam_id", "sam"), *boston_lines[1:]])
    (tmp_path / "b.csv").write_text(text)
    said_ = refused(system, "inspections", str(tmp_path / "b.csv"), "--map", "boston")
    assert "b.csv:1: has no column 'sam_id' (nearest: 'sam')" in said_


def test_half_a_json(system: System, real_data: Path, tmp_path: Path) -> None:
    folder = real_data / "01_inspections/longbeach_ca/original_json_district6"
    text = sorted(folder.glob("*.json"))[0].read_text()
    (tmp_path / "half.json").write_text(text[: len(text) // 2])
    said_ = refused(system, "inspections", str(tmp_path / "half.json"), "--map", "long-beach")
    assert "half.json:" in said_
    assert "is no JSON at character" in said_


def test_ten_bad_rows_among_good_ones(
    system: System, boston_lines: list[str], tmp_path: Path
) -> None:
    """Rows of cases that have one row alone, so that what is wrong loses the case."""
    counted = Counter(line.split(",", 1)[0] for line in boston_lines[1:])
    alone = [n for n, line in enumerate(boston_lines) if n and counted[line.split(",", 1)[0]] == 1]
    bad = alone[:200:20]
    assert len(bad) == 10
    lines = list(boston_lines)
    for kind, at in enumerate(bad):
        case, _, rest = lines[at].partition(",")
        _, _, untimed = rest.partition(",")
        lines[at] = (
            f"{case},yesterday,{untimed}",
            f"{case},,{untimed}",
            f"{case}",
            f",{rest}",
            f"{lines[at]},one,cell,more",
        )[kind % 5]
    (tmp_path / "b.csv").write_text("\n".join(lines))
    rejects = tmp_path / "rejects.csv"

    report = bring(
        system, "inspections", str(tmp_path / "b.csv"), "--map", "boston", "--rejects", str(rejects)
    )
    good = set(counted) - {boston_lines[at].split(",", 1)[0] for at in bad}
    assert (report["taken"], report["rejected"]) == (len(good), 10)
    there = {key for key in inspections(system, "boston-isd") if key.startswith("NEW")}
    assert there == good
    told = rows_of(rejects)
    assert [int(row["row"]) for row in told] == [at + 1 for at in bad]
    assert all(row["reason"] for row in told)


@pytest.fixture
def feed(real_data: Path, tmp_path: Path) -> Path:
    """A good directory that is not yet known."""
    folder = tmp_path / "feed"
    folder.mkdir()
    for path in (real_data / "02_hsds/ohana_sample_csv").glob("*.csv"):
        (folder / path.name).write_bytes(path.read_bytes())
    return folder


def rewrite(path: Path, change: Any) -> None:
    rows = rows_of(path)
    changed = change(rows)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(changed)


def test_a_directory_of_dangling_ids(system: System, feed: Path) -> None:
    """More than half of the services belong to no location that is there."""
    rewrite(
        feed / "services.csv",
        lambda rows: [
            {**row, "location_id": "9999"} if n % 3 else row for n, row in enumerate(rows)
        ],
    )
    said_ = refused(system, "directory", str(feed), "--source", "dangling")
    assert "more than half" in said_


def test_a_directory_of_duplicates(system: System, feed: Path, tmp_path: Path) -> None:
    """Other words under an id that stands already are refused, the first stays; more than half
    refuse the whole."""
    doubled = tmp_path / "report.csv"
    rewrite(
        feed / "services.csv",
        lambda rows: [*rows, *({**row, "name": f"{row['name']} again"} for row in rows[:2])],
    )
    report = bring(system, "directory", str(feed), "--source", "doubles", "--report", str(doubled))
    kept = len(rows_of(feed / "services.csv")) - 2
    assert report["services"] == kept
    assert sum(row["table"] == "services" for row in rows_of(doubled)) >= 2
    (row,) = ask(system, "SELECT count(*) AS n FROM partner.service WHERE source = 'doubles'")
    assert row["n"] == kept

    rewrite(
        feed / "services.csv",
        lambda rows: [{**row, "name": f"{row['name']} {n}"} for row in rows[:1] for n in range(5)],
    )
    assert "more than half" in refused(system, "directory", str(feed), "--source", "doubles")


def test_a_directory_that_is_cut_off_or_no_text(system: System, feed: Path, tmp_path: Path) -> None:
    packed = Path(shutil.make_archive(str(tmp_path / "packed"), "zip", feed))
    packed.write_bytes(packed.read_bytes()[: packed.stat().st_size // 2])
    assert "packed.zip" in refused(system, "directory", str(packed))

    services = (feed / "services.csv").read_bytes()
    (feed / "services.csv").write_bytes(b"\x00\x01\xff\xfe" * 64 + services)
    said_ = refused(system, "directory", str(feed))
    assert "services.csv" in said_

    (tmp_path / "half.json").write_bytes(b'{"organizations": [{"id": "o1", "name": "Pan')
    assert "half.json" in refused(system, "directory", str(tmp_path / "half.json"))


# Cities that are not ours, with maps as docs/integrating/maps.md teaches them

ABROAD = """
format: csv
encoding: iso-8859-1
source: bauaufsicht
timezone: Europe/Berlin
group_by: Vorgang
fields:
  source_id: {column: Vorgang}
  inspected_at: {template: "{Datum} {Uhrzeit}", format: ["%d.%m.%Y %H:%M", "%d.%m.%Y"]}
  property.address.line1: {template: "{Straße} {Nr}"}
  property.latitude: {column: Breite, required: false}
  property.longitude: {column: Länge, required: false}
findings:
  code: {column: Mangel, values: {Notausgang versperrt: H-101, Schimmel: mold}}
  scheme: {value: demo-housing-code}
"""
ABROAD_ROWS = """Vorgang;Datum;Uhrzeit;Straße;Nr;Breite;Länge;Mangel
2025/1;31.12.2025;09:30;Brückenstraße;4 a;42,3918;-71,0328;Notausgang versperrt
2025/1;31.12.2025;09:30;Brückenstraße;4 a;42,3918;-71,0328;Schimmel
2025/2;31.12.2025;;Am Wall;11;;;Schimmel
2025/3;12/31/2025;;Am Wall;12;;;Schimmel
"""
NESTED = """
format: json
records: result.records
source: nested-city
timezone: America/Chicago
fields:
  source_id: {column: id}
  inspected_at: {column: visited, format: unix-ms}
  status: {column: state, values: {A: open, Z: closed}}
  property.address.line1: {column: where.street}
  property.address.city: {column: where.city}
findings_from: {column: violations}
findings:
  code: {column: ordinance}
  scheme: {value: demo-housing-code}
  text: {column: words, required: false}
"""


def test_a_city_abroad_reaches_the_fire_department(system: System, tmp_path: Path) -> None:
    (tmp_path / "map.yaml").write_text(ABROAD)
    file = tmp_path / "export.csv"
    file.write_text(ABROAD_ROWS, encoding="iso-8859-1")
    rejects = tmp_path / "rejects.csv"
    there = check_twice(
        system, "bauaufsicht",
        [str(file), "--map", str(tmp_path / "map.yaml"), "--rejects", str(rejects)],
        taken=2, rejected=1, rows=4,
    )  # fmt: skip
    assert {key: {f["code"] for f in row["findings"]} for key, row in there.items()} == {
        "2025/1": {"H-101", "mold"},
        "2025/2": {"mold"},
    }
    assert [row["row"] for row in rows_of(rejects)] == ["5"]

    (row,) = ask(
        system,
        "SELECT cases->>0 AS case_id FROM intake.inspection WHERE source_id = '2025/1'",
    )
    coordinator = system.api("coordinator")
    path = f"/partner/v1/offers?case_id={row['case_id']}"
    offers = eventually(lambda: coordinator.ok("GET", path)["items"], 30, hint=path)
    assert [offer["category"] for offer in offers] == ["blocked-egress"]


def test_a_city_with_findings_inside_its_records(system: System, tmp_path: Path) -> None:
    records = [
        {
            "id": number,
            "visited": 1_735_689_600_000 + number,
            "state": "A" if number % 2 else "Z",
            "where": {"street": f"{number} Wells St", "city": "Elsewhere"},
            "violations": [{"ordinance": f"N{n}", "words": "as seen"} for n in range(number % 4)],
        }
        for number in range(40)
    ]
    (tmp_path / "map.yaml").write_text(NESTED)
    file = tmp_path / "export.json"
    file.write_text(json.dumps({"success": True, "result": {"fields": [{}], "records": records}}))
    there = check_twice(
        system, "nested-city", [str(file), "--map", str(tmp_path / "map.yaml")],
        taken=40, rejected=0, rows=40,
    )  # fmt: skip
    assert {key: (row["status"], len(row["findings"])) for key, row in there.items()} == {
        str(number): ("open" if number % 2 else "closed", number % 4) for number in range(40)
    }
