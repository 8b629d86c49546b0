"""Questions to ask models: JSON lines, CSV or TSV to validated `Question`s."""

from __future__ import annotations

import csv
import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from .._utils.files import user_path
from ..errors import QuestionError, RecordError
from ..records.io import read_lines

__all__ = ["SUFFIXES", "Question", "read_questions"]

SUFFIXES = (".jsonl", ".jsonl.gz", ".ndjson", ".ndjson.gz", ".csv", ".tsv")


class Question(msgspec.Struct, frozen=True):
    """A question with what its grader needs.

    Attributes:
        query: What users ask, and what the router will see.
        answer: The reference, as the grader needs it: a text, a number, a letter, a pattern, a schema, tests.
        index: Name within the dataset. Default: the number of its line.
        dataset: Name of the dataset. Default: the name of the file.
        prompt: What is sent to the models. Default: the query.
        grader: A grader of its own, in place of the run's.
        source: Source of its record: who grades the answers. Default: the dataset.
        tools: Tools that the models may call, in OpenAI's form.
    """

    query: str
    answer: Any = None
    index: str | int = ""
    dataset: str = ""
    prompt: str = ""
    grader: str = ""
    source: str = ""
    tools: list[dict[str, Any]] = []

    @property
    def key(self) -> str:
        """Digest of the dataset, the index and what is sent."""
        parts = (self.dataset, str(self.index), self.prompt or self.query)
        return hashlib.sha256("\x1f".join(parts).encode("utf-8", "replace")).hexdigest()[:32]


def read_questions(source: str | Path) -> list[Question]:
    """The questions of a JSON lines, CSV or TSV file, or of all such files in a folder.

    CSV and TSV files need a header. Each question needs ``query`` (or ``question``) and may have the other fields of
    `Question`.

    Args:
        source: The file or folder.

    Raises:
        QuestionError: If a question is not valid (the message names the file, the line and the field), an index occurs
            twice in a dataset, or there is no question.
    """
    path = user_path(source)
    inside = sorted(p for p in path.rglob("*") if p.is_file() and p.name.endswith(SUFFIXES)) if path.is_dir() else []
    files = inside if path.is_dir() else [path]
    questions: list[Question] = []
    seen: dict[tuple[str, str], str] = {}
    for file in files:
        if not file.is_file():
            raise QuestionError(f"{file}: no such file or folder")
        for line, row in _csv_rows(file) if file.suffix in (".csv", ".tsv") else _json_rows(file):
            where = f"{file}:{line}"
            question = _question(row, where, file.name.partition(".")[0], line)
            name = (question.dataset, str(question.index))
            if name in seen:
                raise QuestionError(f"{where}: field 'index': {question.index!r} already stands at {seen[name]}")
            seen[name] = where
            questions.append(question)
    if not questions:
        raise QuestionError(f"{path}: no question; give {', '.join(SUFFIXES)}")
    return questions


def _question(row: dict[str, Any], where: str, dataset: str, line: int) -> Question:
    fields = {name: value for name, value in row.items() if value is not None}
    if "query" not in fields and "question" in fields:
        fields["query"] = fields.pop("question")
    fields = {"dataset": dataset, "index": str(line), **fields}
    try:
        question = msgspec.convert(fields, Question)
    except msgspec.ValidationError as error:
        reason, _, field = str(error).partition(" - at ")
        raise QuestionError(f"{where}: field '{field.strip('`').removeprefix('$.') or 'query'}': {reason}") from None
    if not question.query.strip():
        raise QuestionError(f"{where}: field 'query': empty")
    return question


def _json_rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        for number, line in read_lines(path):
            try:
                row = msgspec.json.decode(line, type=dict[str, Any])
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                raise QuestionError(f"{path}:{number}: not a JSON object: {error}") from None
            if (name := _repeated(line)) is not None:
                raise QuestionError(f"{path}:{number}: field {name!r}: given twice")
            yield number, row
    except RecordError as error:
        raise QuestionError(str(error)) from None


def _repeated(line: bytes) -> str | None:
    """A name that stands twice in the JSON object of a line, None if there is none."""
    pairs = json.loads(line, object_pairs_hook=list)
    counts = Counter(name for name, _ in pairs)
    return next((name for name, count in counts.items() if count > 1), None)


def _csv_rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    fields = set(Question.__struct_fields__) | {"question"}
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            csv.field_size_limit(2**30)  # the default of 131,072 characters is less than a document
            reader = csv.DictReader(file, strict=True, delimiter="\t" if path.suffix == ".tsv" else ",")
            if not {"query", "question"} & set(reader.fieldnames or ()):
                raise QuestionError(f"{path}:1: no column 'query': the header has {', '.join(reader.fieldnames or ())}")
            for row in reader:
                yield reader.line_num, {name: value for name, value in row.items() if name in fields and value}
    except (csv.Error, UnicodeDecodeError, OSError) as error:
        raise QuestionError(f"{path}: cannot be read: {error}") from None
