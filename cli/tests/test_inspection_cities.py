"""Whole exports in the styles that cities publish, each with the map that the page teaches."""

from typing import Any

from support.exports import bodies_by_id


def test_a_row_for_each_violation_as_socrata_writes_csv(run) -> None:
    map_ = """
format: csv
source: lakeside-buildings
timezone: America/Chicago
group_by: INSPECTION NUMBER
# Elevators and boilers are other departments'.
only: {column: DEPARTMENT BUREAU, in: [CONSERVATION, SPECIAL TASK FORCE]}
skip: {column: VIOLATION STATUS, in: [NO ENTRY]}
empty: [NULL, 01/01/1900]
fields:
  source_id: {column: INSPECTION NUMBER}
  inspected_at: {column: VIOLATION DATE, format: "%m/%d/%Y"}
  status: {column: INSPECTION STATUS, values: {FAILED: open, PASSED: closed, CLOSED: closed}}
  kind: {column: INSPECTION CATEGORY}
  property.address_id: {column: PROPERTY GROUP, required: false}
  property.address.line1: {column: ADDRESS}
  property.address.city: {value: Lakeside}
  property.latitude: {column: LATITUDE, required: false}
  property.longitude: {column: LONGITUDE, required: false}
findings:
  code: {column: VIOLATION CODE}
  scheme: {value: lakeside}
  status: {column: VIOLATION STATUS, values: {OPEN: open, COMPLIED: closed}}
  issued_at: {column: VIOLATION STATUS DATE, format: "%m/%d/%Y", required: false}
  text: {column: VIOLATION DESCRIPTION, required: false}
"""
    data = (
        "ID,VIOLATION DATE,VIOLATION CODE,VIOLATION STATUS,VIOLATION STATUS DATE,"
        "VIOLATION DESCRIPTION,INSPECTION NUMBER,INSPECTION STATUS,INSPECTION CATEGORY,"
        "DEPARTMENT BUREAU,ADDRESS,PROPERTY GROUP,LATITUDE,LONGITUDE,LOCATION\n"
        '1,02/03/2025,CN190019,OPEN,01/01/1900,"ARRANGE, PREMISE INSPECTION",900,FAILED,PERIODIC,'
        'CONSERVATION,10 N SHORE AVE,555,41.91,-87.65,"(41.91, -87.65)"\n'
        "2,02/03/2025,CN104015,COMPLIED,03/04/2025,REPLACE WINDOW,900,FAILED,PERIODIC,"
        "CONSERVATION,10 N SHORE AVE,555,41.91,-87.65,\n"
        "3,02/03/2025,EL0050,OPEN,,PANEL,901,FAILED,PERIODIC,ELEVATOR,10 N SHORE AVE,,,,\n"
        "4,02/04/2025,CN190019,NO ENTRY,,NULL,902,FAILED,COMPLAINT,CONSERVATION,1 E BAY,NULL,0,0,\n"
        "5,02/04/2025,CN197019,OPEN,,NULL,903,FAILED,COMPLAINT,CONSERVATION,1 E BAY,NULL,0,0,\n"
    )
    reading = run(map_, data, "export.csv")
    assert (reading.rows, reading.left_out, reading.rejects) == (5, 2, [])
    found = bodies_by_id(reading)
    assert found["900"]["findings"] == [
        {
            "code": "CN104015",
            "issued_at": "2025-03-04T00:00:00-06:00",
            "scheme": "lakeside",
            "status": "closed",
            "text": "REPLACE WINDOW",
        },
        {
            "code": "CN190019",
            "scheme": "lakeside",
            "status": "open",
            "text": "ARRANGE, PREMISE INSPECTION",
        },
    ]
    assert found["903"]["property"] == {"address": {"line1": "1 E BAY", "city": "Lakeside"}}


def test_features_of_arcgis_as_geojson(run) -> None:
    map_ = """
format: json
source: riverton-code
timezone: America/Denver
bounds: {south: 39, north: 41, west: -106, east: -104}
empty: [<Null>, "0"]
fields:
  source_id: {column: properties.CASE_NO}
  inspected_at: {column: [properties.INSP_DATE, properties.OPEN_DATE], format: unix-ms}
  status: {column: properties.CLOSED_FLAG, values: {"true": closed, "false": open}}
  property.parcel_id: {column: properties.PARCEL}
  property.address.line1: {column: properties.SITE_ADDR, required: false}
  property.longitude: {column: geometry.coordinates.0, required: false}
  property.latitude: {column: geometry.coordinates.1, required: false}
findings_from: {column: properties.VIOLATIONS, separator: "|"}
findings:
  code: {column: properties.VIOLATIONS, pattern: '^\\S+'}
  scheme: {value: riverton}
  text: {column: properties.VIOLATIONS}
"""

    def feature(point: list[float] | None, **properties: Any) -> dict[str, Any]:
        geometry = {"type": "Point", "coordinates": point} if point else None
        given = {
            "INSP_DATE": 1735689600000,
            "OPEN_DATE": 1733011200000,
            "CLOSED_FLAG": False,
            "PARCEL": 5001.0,
            "SITE_ADDR": "<Null>",
        }
        return {"type": "Feature", "geometry": geometry, "properties": given | properties}

    data = {
        "type": "FeatureCollection",
        "crs": {"type": "name", "properties": {"name": "EPSG:4326"}},
        "features": [
            feature([-105.0, 39.7], CASE_NO=11.0, VIOLATIONS="12-1 weeds|12-7 no heat"),
            feature(None, CASE_NO=12, VIOLATIONS=None, INSP_DATE=0, CLOSED_FLAG=True),
            feature([39.7, -105.0], CASE_NO=13, VIOLATIONS="12-1"),
            feature([-87.6, 41.9], CASE_NO=14, VIOLATIONS="12-1"),
            feature(None, CASE_NO=15, INSP_DATE=253402300799000, VIOLATIONS="12-1"),
        ],
    }
    reading = run(map_, data, "export.geojson")
    found = bodies_by_id(reading)
    assert found["11"]["property"] == {
        "parcel_id": "5001",
        "latitude": 39.7,
        "longitude": -105.0,
    }
    assert [(f["code"], f["text"]) for f in found["11"]["findings"]] == [
        ("12-1", "12-1 weeds"),
        ("12-7", "12-7 no heat"),
    ]
    assert (found["12"]["status"], found["12"]["findings"]) == ("closed", [])
    assert found["12"]["inspected_at"] == "2024-11-30T17:00:00-07:00"
    assert [(one.row, one.column, one.reason.rpartition("; ")[2]) for one in reading.rejects] == [
        (
            3,
            "geometry.coordinates.1",
            "are latitude and longitude swapped?",
        ),
        (
            4,
            "geometry.coordinates.1, geometry.coordinates.0",
            "41.9, -87.6 lies outside of the map's bounds",
        ),
        (5, "properties.INSP_DATE, properties.OPEN_DATE", reading.rejects[2].reason),
    ]
    assert "9999-12-31" in reading.rejects[2].reason


def test_a_csv_of_spreadsheets_abroad(run) -> None:
    """Semicolons, decimal commas, days before months, Excel's own days, and blank rows below."""
    map_ = """
format: csv
encoding: utf-16
header_row: 3
source: wohnraum
timezone: Europe/Vienna
bounds: {south: 47, north: 49, west: 15, east: 17}
skip: {column: Ergebnis, pattern: "^(storniert|Summe)"}
fields:
  source_id: {column: Akt}
  inspected_at: {column: Besuch, format: ["%d.%m.%Y %H:%M", "%d.%m.%Y", excel]}
  property.address.line1: {column: Anschrift}
  property.latitude: {column: Breite, required: false}
  property.longitude: {column: "#6", required: false}
findings:
  code: {column: Mangel, required: false}
  text: {column: "#7", required: false}
"""
    data = (
        "Wohnungsaufsicht;;;;;;\r\nStand 31.01.2025;;;;;;\r\n"
        "Akt;Besuch;Anschrift;Ergebnis;Breite;Grad;Grad;Mangel\r\n"
    )
    data += (
        "1/25;02.01.2025 09:30;Am Platz 1;offen;48,21;16,37;Küche;Schimmel\r\n"
        "2/25;45660,5;Am Platz 2;offen;;;;\r\n"
        "3/25;03.01.2025;Am Platz 3;storniert;;;;\r\n"
        "4/25;31/01/2025;Am Platz 4;offen;;;;\r\n"
        ";;;Summe: 4;;;;\r\n"
        ";;;;;;;\r\n;;;;;;;\r\n"
    )
    reading = run(map_, data.encode("utf-16"), "export.csv")
    found = bodies_by_id(reading)
    assert found["1/25"]["property"] == {
        "address": {"line1": "Am Platz 1"},
        "latitude": 48.21,
        "longitude": 16.37,
    }
    assert found["1/25"]["findings"] == [{"code": "Schimmel", "text": "Küche"}]
    assert found["2/25"]["inspected_at"] == "2025-01-03T12:00:00+01:00"
    assert (reading.rows, reading.left_out) == (5, 2)
    assert [(one.row, one.column) for one in reading.rejects] == [(7, "Besuch")]


def test_records_with_lists_in_lists(run) -> None:
    map_ = """
format: json
records: payload.results
source: county
timezone: America/New_York
only: {column: visit.type, in: [housing]}
fields:
  source_id: {column: visit.ref}
  inspected_at: {column: visit.when}
  property.address.line1: {template: "{site.number} {site.street}"}
  property.address.unit: {column: site.units.0.name, required: false}
findings_from: {column: visit.defects}
findings:
  code: {column: code.value}
  class: {column: code.grade, required: false}
  status: {column: fixed, values: {"true": closed, "false": open}, default: open}
  text: {column: remarks.0, required: false}
"""

    def record(ref: Any, defects: Any, kind: str = "housing") -> dict[str, Any]:
        return {
            "visit": {"ref": ref, "type": kind, "when": "2025-05-06T10:00:00Z", "defects": defects},
            "site": {"number": 12.0, "street": "Mill Rd", "units": [{"name": "3B"}]},
        }

    defects = [
        {"code": {"value": 410.5, "grade": "A"}, "fixed": True, "remarks": ["no rail", "stairs"]},
        {"code": {"value": 410.0}, "remarks": []},
    ]
    records = [record(1, defects), record(2, None), record(3, [], "food"), record(True, [])]
    reading = run(map_, {"payload": {"results": records, "next": None}}, "export.json")
    found = bodies_by_id(reading)
    assert found["1"]["property"]["address"] == {"line1": "12 Mill Rd", "unit": "3B"}
    assert found["1"]["findings"] == [
        {"class": "A", "code": "410.5", "status": "closed", "text": "no rail"},
        {"code": "410", "status": "open"},
    ]
    assert found["2"]["findings"] == []
    assert reading.left_out == 1
    assert [(one.row, one.column) for one in reading.rejects] == [(4, "visit.ref")]
