"""What requests are expected to cost, and a cap on what a run spends."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from typing import Any

from .._utils.tokens import count_tokens
from ..pricing.types import TokenUsage

__all__ = ["Spending", "UsageForecast"]

#: Answers of a model after which its own answers tell what to expect.
_ANSWERS_TO_LEARN_FROM = 5


class Spending:
    """Money that a run has spent or reserved for requests in flight, in picodollars.

    Args:
        spent_pico: What earlier runs have spent.
        cap_pico: What all runs may spend, or None for no cap.

    Attributes:
        spent_pico: What was spent or reserved so far.
        capped: Whether a request did not fit into the cap. From then on nothing is reserved.
    """

    def __init__(self, spent_pico: int, cap_pico: int | None = None) -> None:
        self.spent_pico = spent_pico
        self.capped = False
        self._cap_pico = cap_pico
        self._in_flight = 0
        self._settled = asyncio.Event()

    async def reserve(self, expected_pico: int) -> bool:
        """Reserve money for a request, if necessary after requests in flight have been settled for less.

        Args:
            expected_pico: Picodollars that the request is expected to cost.

        Returns:
            Whether the request fits into the cap.
        """
        while self._exceeds_cap(expected_pico) and not self.capped:
            if not self._in_flight:
                self.capped = True
                break
            await self._settled.wait()
        if self.capped:
            return False
        self.spent_pico += expected_pico
        self._in_flight += 1
        return True

    def _exceeds_cap(self, expected_pico: int) -> bool:
        return self._cap_pico is not None and self.spent_pico + expected_pico > self._cap_pico

    def settle(self, reserved_pico: int, cost_pico: int) -> None:
        """End a reservation.

        Args:
            reserved_pico: Picodollars that were reserved.
            cost_pico: Picodollars that the request cost.
        """
        self.spent_pico += cost_pico - reserved_pico
        self._in_flight -= 1
        self._settled.set()
        self._settled = asyncio.Event()


class UsageForecast:
    """Tokens that requests are expected to use, rather too many than too few.

    Args:
        settings: What all requests have in common: ``system`` and ``max_tokens``, if given.
        output_tokens: Expected output tokens without ``max_tokens``, until a model has given five answers; then the
            longest of its last 200 answers is expected.
    """

    def __init__(self, settings: Mapping[str, Any], output_tokens: int) -> None:
        self._system = str(settings.get("system") or "")
        self._max_tokens: int | None = settings.get("max_tokens")
        self._output_tokens = output_tokens
        self._seen: dict[str, deque[int]] = {}

    def observe(self, model: str, usage: TokenUsage | None) -> None:
        """Learn from the usage of a model's answer."""
        if usage is not None:
            self._seen.setdefault(model, deque(maxlen=200)).append(usage.output_tokens)

    def expect(self, model: str, prompt: str) -> TokenUsage:
        """Expected tokens of a request to a model."""
        # Providers wrap prompts in tokens of their own, and count in their own ways.
        input_tokens = 1.1 * count_tokens(prompt, self._system) + 20
        seen = self._seen.get(model, ())
        longest = max(seen) if len(seen) >= _ANSWERS_TO_LEARN_FROM else self._output_tokens
        return TokenUsage(input_tokens=round(input_tokens), output_tokens=self._max_tokens or longest)
