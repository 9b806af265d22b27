"""A directory's files: what can be read, and that nothing in them breaks the reader."""

import csv
import io
import json
import random
import stat
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from partner_svc.directory import (
    DirectoryRefused,
    ReportRow,
    TermMap,
    read,
    write_report,
)
from partner_svc.directory.parse import MAX_CELL
from partner_svc.directory.sources import FREE_GROWTH
from support.feeds import CSV, NESTED, ORG, SERVICE, as_zip, only_service, tables, take

# files


def test_encodings_and_separators_are_mended_and_said():
    files = CSV | {"organizations.csv": "id;name\r\no1;Caf\u00e9\r\n".encode("cp1252")}
    reading = read(as_zip(files), source_name="test", terms=None)
    assert reading.directory.organizations[0]["name"] == "Caf\u00e9"
    assert (
        ReportRow(
            "organizations.csv",
            None,
            "",
            "mended",
            "",
            "was not UTF-8 (first in line 2); read as Windows-1252",
        )
        in reading.report
    )
    marked = CSV | {"services.csv": b"\xef\xbb\xbf" + CSV["services.csv"]}
    reading = read(as_zip(marked), source_name="test", terms=None)
    assert [r.reason for r in reading.report] == ["byte order mark removed"]


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"services.csv": CSV["services.csv"]}, "required table 'organizations' is missing"),
        (CSV | {"services.csv": b"id,organization_id\ns1,o1\n"}, "column 'name' is missing"),
        (CSV | {"services.csv": b""}, "services.csv: is empty"),
        (CSV | {"services.csv": b'id,organization_id,name\ns0,o1,x\ns1,o1,"Pantry\ns2,o1,y\n'},
         "services.csv, line 3: a quote opens"),
        (CSV | {"services.csv": b"id,id,name\n1,2,3\n"}, "column 'id' stands twice"),
        (CSV | {"services.csv": b"id,name\ns1,\x81\x8d\n"}, "line 2: neither UTF-8"),
        (CSV | {"services.csv": b"id,name\ns1,a\x00b\n"}, "line 2: holds a zero byte"),
        ({"services.json": b'[\n{"id": 1,\n'}, "services.json, line 3"),
        ({"data.ndjson": b'{"id": 1}\n{"id": 2\n'}, "data.ndjson, line 2: is no JSON"),
        ({"readings.csv": b"a,b\n1,2\n"}, "unknown format"),
        ({"readme.txt": b"hello"}, "no CSV and no JSON"),
        ({"../services.csv": b""}, "points outside of the zip"),
        ({"/etc/services.csv": b""}, "points outside of the zip"),
        ({"services.csv": b"0" * (FREE_GROWTH + 1)}, "grows too much"),
        (CSV | {"services.csv": "id,name\n1,2\n".encode("utf-16-le")}, "UTF-16 without its mark"),
        (CSV | {"services.csv": "\ufeffid,name\n1,2".encode("utf-16-le") + b"\n"},
         "services.csv, line 2: starts as UTF-16"),
        (CSV | {"services.csv": b"id,name\ns1,a\ns2," + b"x" * (MAX_CELL + 1) + b"\n"},
         "services.csv, line 3: a cell is longer than 4 MiB"),
        (CSV | {"handoff-terms.yaml": b"name: x\nterm: {}\n"}, "handoff-terms.yaml:2"),
        (CSV | {"handoff-terms.yaml": b"#" * (1 << 20) + b"#"}, "handoff-terms.yaml: larger than"),
        (CSV | {"handoff-terms.yaml": b"", "a/handoff-terms.yaml": b""}, "several mappings"),
    ],
)  # fmt: skip
def test_a_source_that_cannot_be_used_is_refused_whole(files, said):
    with pytest.raises(DirectoryRefused) as refused:
        read(as_zip(files), source_name="test", terms=None)
    assert said in str(refused.value)


def test_a_file_of_two_encodings_is_read_line_by_line_and_the_lines_are_said():
    lines = ["id,name", "o1,Caf\u00e9", "o2,R\u00edo", "o3,Plain", "o4,Ni\u00f1o"]
    odd = [line.encode("cp1252" if n in (1, 4) else "utf-8") for n, line in enumerate(lines)]
    reading = read(
        as_zip(CSV | {"organizations.csv": b"\n".join(odd)}), source_name="test", terms=None
    )
    assert {o["name"] for o in reading.directory.organizations} == {
        "Caf\u00e9", "R\u00edo", "Plain", "Ni\u00f1o"
    }  # fmt: skip
    assert [r.reason for r in reading.report] == [
        "was not UTF-8 in lines 2, 5; those read as Windows-1252, the rest as UTF-8"
    ]


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_json_of_utf_16_needs_no_name_to_be_told(encoding):
    content = ("\ufeff" + json.dumps([NESTED])).encode(encoding)
    reading = read(content, source_name="test", terms=None)
    assert only_service(reading)["name"] == "Pantry"


def test_a_long_cell_is_read_whatever_another_import_does():
    words = b"many words " * 20_000
    files = CSV | {"organizations.csv": b"id,name,description\no1,Bank," + words + b"\n"}
    csv.field_size_limit(131_072)
    reading = read(as_zip(files), source_name="test", terms=None)
    assert len(reading.directory.organizations[0]["description"]) == len(words) - 1
    assert csv.field_size_limit() == MAX_CELL


def test_a_sheet_with_many_blank_rows_is_no_bomb():
    blank = CSV | {"services.csv": CSV["services.csv"] + b",,,\r\n" * 600_000}
    reading = read(as_zip(blank), source_name="test", terms=None)
    assert reading.summary.services_read == 1


def test_a_mapping_that_lies_in_the_feed_has_the_last_word(tmp_path):
    terms = TermMap.model_validate({"name": "t", "terms": {"Law": [], "Food": ["stress"]}})
    files = {
        "services.json": json.dumps(
            [
                {
                    **NESTED,
                    "attributes": [
                        {"taxonomy_term": {"id": "1", "name": "Law"}},
                        {"taxonomy_term": {"id": "2", "name": "Food"}},
                    ],
                }
            ]
        ).encode(),
        "export/handoff-terms.yaml": b"name: own\nterms:\n  Law: [legal-help]\n",
    }
    (tmp_path / "export").mkdir()
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    for source in (as_zip(files), tmp_path):
        reading = read(source, source_name="test", terms=terms)
        assert only_service(reading)["needs"] == ["legal-help", "stress"]
        assert reading.summary.ignored_files == ()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"PK\x03\x04 and then nothing", "the zip is damaged"),
        (b"hello", "unknown format"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"services": NaN}', "is no JSON number"),
        (b'[{"id": 1, "name": "x", "status": "active", "organization_id": "o"}', "line 1, column"),
    ],
)
def test_bytes_that_are_no_directory(content, said):
    with pytest.raises(DirectoryRefused) as refused:
        read(content, source_name="test", terms=None)
    assert said in str(refused.value)


def test_a_link_in_a_zip_or_out_of_a_folder_is_refused(tmp_path):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        link = zipfile.ZipInfo("services.csv")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(DirectoryRefused, match="is a link"):
        read(packed.getvalue(), source_name="test", terms=None)
    (tmp_path / "outside.csv").write_bytes(CSV["services.csv"])
    folder = tmp_path / "feed"
    folder.mkdir()
    (folder / "services.csv").symlink_to(tmp_path / "outside.csv")
    with pytest.raises(DirectoryRefused, match="leads out of the folder"):
        read(folder, source_name="test", terms=None)


def test_the_named_format_must_fit(tmp_path):
    with pytest.raises(DirectoryRefused, match="is hsds-1, not ohana"):
        read(as_zip(CSV), format="ohana", source_name="test", terms=None)
    with pytest.raises(DirectoryRefused, match="unknown format 'excel'"):
        read(as_zip(CSV), format="excel", source_name="test", terms=None)
    assert read(as_zip(CSV), format="hsds-2", source_name="test", terms=None).format == "hsds-2"
    with pytest.raises(DirectoryRefused, match="no such file"):
        read(tmp_path / "absent", source_name="test", terms=None)


def test_the_report_is_a_csv_without_formulas(tmp_path):
    path = tmp_path / "report.csv"
    write_report(path, [ReportRow("services", 3, "=1+1", "refused", "name", "a, b")])
    with path.open(encoding="utf-8", newline="") as file:
        assert list(csv.reader(file)) == [
            ["kind", "table", "row", "id", "field", "reason"],
            ["refused", "services", "3", "'=1+1", "name", "a, b"],
        ]


def test_letters_that_no_database_stores_are_taken_out():
    content = b'[{"id": "s\\u0000", "name": "P\\ud800x", "status": "active", "x_n": ["\\u0000"],'
    content += b' "organization": {"id": "o", "name": "O"}}]'
    service = only_service(read(content, source_name="test", terms=None))
    assert (service["name"], service["x_n"]) == ("P?x", [""])


# properties

IDS = st.sampled_from(["", "1", "2", "3", "4", 5, "ac148810-d857-441c-9679-408f346de14b"])
SERVICES = st.lists(
    st.fixed_dictionaries(
        {
            "id": IDS,
            "organization_id": st.sampled_from(["", "o1", "o2", "nobody"]),
            "name": st.sampled_from(["", " ", "Pantry", "Kitchen"]),
        },
        optional={"status": st.sampled_from(["", "active", "odd"]), "email": st.text(max_size=5)},
    ),
    min_size=1,
    max_size=12,
)


@settings(deadline=None, max_examples=150)
@given(services=SERVICES, seed=st.integers(0, 9))
def test_every_service_is_in_the_directory_or_refused_in_the_report(services, seed):
    organizations = [ORG, ORG | {"id": "o2", "name": "Kitchen"}]
    try:
        reading = take({"organizations": organizations, "services": services})
    except DirectoryRefused as refused:
        assert "more than half" in str(refused)
        return
    refused = [r for r in reading.report if (r.kind, r.table) == ("refused", "services")]
    taken = {service["id"] for service in reading.directory.services}
    by_id = {
        str(row["id"]): take(tables(services=[SERVICE | {"id": row["id"]}])).directory.services[0][
            "id"
        ]
        for row in services
        if row["id"] != ""
    }
    for number, row in enumerate(services, start=1):
        in_directory = by_id.get(str(row["id"])) in taken
        in_report = any(r.row == number or (r.id and r.id == str(row["id"])) for r in refused)
        assert in_directory or in_report
    assert len(taken) == len(reading.directory.services)
    assert reading.summary.services_read - reading.summary.services_refused == len(taken)

    shuffled = services[:]
    random.Random(seed).shuffle(shuffled)
    again = take({"organizations": organizations[::-1], "services": shuffled})
    assert again.directory == reading.directory


@settings(deadline=None, max_examples=150)
@given(content=st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_no_bytes_break_it(content):
    with pytest.raises(DirectoryRefused):
        read(content, source_name="test", terms=None)


KEYS = """
    id name status organization organization_id services locations
    location service service_at_locations phones languages attributes taxonomy_term
    schedules opens_at service_areas extent extent_type addresses capacities
    x_handoff participants needs latitude contents number byday
    minimum_age
"""
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
)


@settings(deadline=None, max_examples=150)
@given(at=st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), min_size=1, max_size=8))
def test_no_damaged_zip_breaks_it(at):
    packed = bytearray(as_zip(CSV))
    for place, byte in at:
        packed[place % len(packed)] = byte
    try:
        reading = read(bytes(packed), source_name="test", terms=None)
    except DirectoryRefused:
        return
    assert reading.directory.services


JSON = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(KEYS.split()), inner, max_size=6)
    ),
    max_leaves=25,
)


@settings(deadline=None, max_examples=300)
@given(value=JSON)
def test_no_json_breaks_it(value):
    """A stranger's feed is read or refused; it never ends in another error."""
    wrapped = [{**NESTED, "id": "whole"}, value if isinstance(value, dict) else {"value": value}]
    for content in (wrapped, {**NESTED, "service_areas": value, "x_handoff": value}, value):
        try:
            reading = take(content)
        except DirectoryRefused:
            continue
        assert reading.directory.services
