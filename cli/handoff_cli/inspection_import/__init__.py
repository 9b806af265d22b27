"""A department's export (CSV, JSON) as inspections, by a map that is data.

`load_map` and `read` are all that a caller needs; nothing here talks to the API.
"""

from handoff_kit.yamlfile import FileRefused

from handoff_cli.inspection_import.errors import ImportRefused, Reject
from handoff_cli.inspection_import.grouping import Inspection
from handoff_cli.inspection_import.maps import InspectionMap, load_map, shipped_maps
from handoff_cli.inspection_import.reading import REJECT_COLUMNS, Reading, read, write_rejects
from handoff_cli.inspection_import.sources import REJECTS

__all__ = [
    "REJECTS",
    "REJECT_COLUMNS",
    "FileRefused",
    "ImportRefused",
    "Inspection",
    "InspectionMap",
    "Reading",
    "Reject",
    "load_map",
    "read",
    "shipped_maps",
    "write_rejects",
]
