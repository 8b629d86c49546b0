"""What models scored on queries, and what that cost: files, validation, columns, partitions."""

from .io import find_files, read_records, write_records
from .loading import TableBuilder, load_records
from .partitions import LocalPartitions, Partitions
from .schema import TOKEN_KINDS, Record, Usage
from .table import RecordTable

__all__ = [
    "TOKEN_KINDS",
    "LocalPartitions",
    "Partitions",
    "Record",
    "RecordTable",
    "TableBuilder",
    "Usage",
    "find_files",
    "load_records",
    "read_records",
    "write_records",
]
