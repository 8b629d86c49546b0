"""What models scored on queries, and what that cost: reading, checking, columns."""

from .io import find_files, read_records, write_records
from .parts import LocalPartitions, Partitions
from .schema import TOKEN_KINDS, Record, Usage
from .table import RecordTable, load_records

__all__ = [
    "TOKEN_KINDS",
    "LocalPartitions",
    "Partitions",
    "Record",
    "RecordTable",
    "Usage",
    "find_files",
    "load_records",
    "read_records",
    "write_records",
]
