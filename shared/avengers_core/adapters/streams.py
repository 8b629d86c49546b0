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

    An adapter calls `add` for each chunk that it passes on, then `finish` within the attempt, and passes on
    `decision_chunk` last.

    Args:
        attempt: The attempt that the stream belongs to.
    """

    def __init__(self, attempt: Attempt[M]) -> None:
        self.attempt = attempt
        self.last_chunk: Chunk | None = None

    def add(self, chunk: Chunk) -> Chunk:
        """Count a chunk that is about to be passed on. No fallback is tried after the first one."""
        self.attempt.begun = True
        self.last_chunk = chunk
        self._read(chunk)
        return chunk

    def finish(self) -> None:
        """End the attempt with the tokens and the name that the chunks reported.

        Raises:
            EmptyAnswerError: If there was no chunk.
        """
        if self.last_chunk is None:
            raise EmptyAnswerError(f"{self.attempt.member.id} sent an empty stream")
        self.attempt.finish(self._usage(), self._model_name())

    @abstractmethod
    def decision_chunk(self) -> Chunk:
        """A last chunk without text that carries the decision."""

    @abstractmethod
    def _read(self, chunk: Chunk) -> None:
        """Keep what is needed of a chunk."""

    @abstractmethod
    def _usage(self) -> TokenUsage | None:
        """The tokens that the provider reported, None if it reported none."""

    @abstractmethod
    def _model_name(self) -> str:
        """The name that the provider reported for the model, empty if it reported none."""
