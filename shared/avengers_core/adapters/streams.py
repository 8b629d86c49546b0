"""The parts of a streamed answer: passed on one by one, and added up for the end of the attempt."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Generic, TypeVar

from ..dispatch.call import Attempt
from ..dispatch.pool import M
from ..errors import EmptyAnswerError
from ..pricing.types import TokenUsage

__all__ = ["StreamAccumulator"]

Chunk = TypeVar("Chunk")


class StreamAccumulator(ABC, Generic[M, Chunk]):
    """Adds up the chunks of a stream and ends the attempt.

    An adapter passes on what `add` returns for each chunk and what `finish` returns, both within the attempt, and then
    `decision_chunk`.

    Args:
        attempt: The attempt that the stream belongs to.
    """

    def __init__(self, attempt: Attempt[M]) -> None:
        self.attempt = attempt
        self.last_chunk: Chunk | None = None
        self._held: list[Chunk] = []
        self._ended = False

    def add(self, chunk: Chunk) -> list[Chunk]:
        """Count a chunk.

        Chunks without content are held back until the first one with content, so that another model can be asked if
        nothing but them comes.

        Returns:
            The chunks to pass on now. No fallback is tried after the first one.
        """
        self.last_chunk = chunk
        self._read(chunk)
        self.attempt.count(self._size(chunk))
        if not self.attempt.begun:
            self._ended = self._ended or self._ends(chunk)
            self._held.append(chunk)
            if not self._has_content(chunk):
                return []
            chunks, self._held = self._held, []
            self.attempt.begin()
            return chunks
        return [chunk]

    def finish(self) -> list[Chunk]:
        """End the attempt with the tokens and the name that the chunks reported.

        Returns:
            The chunks that are still to be passed on.

        Raises:
            EmptyAnswerError: If there was neither content nor a reason why there is none.
        """
        if not self.attempt.begun and not self._ended:
            raise EmptyAnswerError(f"{self.attempt.member.id} sent an empty stream")
        self.attempt.finish(self._usage(), self._model_name(), cached=self._from_cache())
        return self._held

    @abstractmethod
    def decision_chunk(self) -> Chunk:
        """A last chunk without text that carries the decision."""

    @abstractmethod
    def _has_content(self, chunk: Chunk) -> bool:
        """Whether a chunk has text, reasoning, tool calls or anything else that is part of an answer."""

    @abstractmethod
    def _size(self, chunk: Chunk) -> int:
        """Characters of a chunk that the provider charges for: text, reasoning and arguments of tool calls."""

    @abstractmethod
    def _ends(self, chunk: Chunk) -> bool:
        """Whether a chunk says why the answer ends."""

    @abstractmethod
    def _read(self, chunk: Chunk) -> None:
        """Keep what is needed of a chunk."""

    def _from_cache(self) -> bool:
        """Whether the answer came from the framework's cache."""
        return False

    @abstractmethod
    def _usage(self) -> TokenUsage | None:
        """The tokens that the provider reported, None if it reported none."""

    @abstractmethod
    def _model_name(self) -> str:
        """The name that the provider reported for the model, empty if it reported none."""
