"""One HTML page about a recording and a person: figures, tables, methods, provenance."""

from kinesis_neuro.report.page import write_report

__all__ = ["write_report"]
