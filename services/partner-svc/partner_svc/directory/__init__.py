"""Reads service directories (HSDS 1.1 to 3.1, Ohana) into one normal form with a report. Pure."""

from partner_svc.directory.model import (
    FORMATS,
    Directory,
    DirectoryRefused,
    Entity,
    Format,
    Reading,
    ReportRow,
    Summary,
)
from partner_svc.directory.own import without_own_fields
from partner_svc.directory.read import read
from partner_svc.directory.report import write_report
from partner_svc.directory.terms import TermMap, load_terms

__all__ = [
    "FORMATS",
    "Directory",
    "DirectoryRefused",
    "Entity",
    "Format",
    "Reading",
    "ReportRow",
    "Summary",
    "TermMap",
    "load_terms",
    "read",
    "without_own_fields",
    "write_report",
]
