"""A request as someone types or pastes it: plain text, or the JSON of a chat request as OpenAI's API takes it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from .._utils.tokens import estimate_tokens

__all__ = ["TypedRequest", "read_request"]

#: What a part of a message needs, by its type in OpenAI's APIs.
_NEEDS_OF_PARTS = {
    "image_url": "images",
    "input_image": "images",
    "input_audio": "audio",
    "file": "pdf",
    "input_file": "pdf",
}


@dataclass(frozen=True)
class TypedRequest:
    """What a router is asked.

    Attributes:
        text: The last message of the user, which is embedded.
        input_tokens: Estimated tokens of all messages; None: those of the text.
        needs: Capabilities that a model must have.
    """

    text: str
    input_tokens: float | None = None
    needs: dict[str, bool | int] = field(default_factory=dict)


def read_request(typed: str) -> TypedRequest:
    """A request from what was typed.

    Args:
        typed: Plain text; or a JSON object with ``messages`` (or ``input``), and perhaps ``tools`` and
            ``response_format``; or a JSON list of messages.

    Raises:
        ValueError: If it is JSON with messages, and they are not what OpenAI's API takes.
    """
    try:
        body = msgspec.json.decode(typed)
    except (msgspec.DecodeError, UnicodeError):
        body = None
    if isinstance(body, list) and body and all(isinstance(one, dict) and "role" in one for one in body):
        body = {"messages": body}
    messages = body.get("messages", body.get("input")) if isinstance(body, dict) else None
    if not isinstance(messages, list):
        return TypedRequest(typed)
    assert isinstance(body, dict)
    needs: dict[str, bool | int] = {}
    last, everything = "", []
    for number, message in enumerate(messages, 1):
        if not isinstance(message, dict) or not isinstance(message.get("role", "user"), str):
            raise ValueError(f"message {number}: must be an object with role and content")
        parts = list(_parts(message.get("content"), number))
        needs |= {_NEEDS_OF_PARTS[kind]: True for kind, _ in parts if kind in _NEEDS_OF_PARTS}
        text = "\n".join(text for _, text in parts if text)
        everything.append(text)
        if message.get("role", "user") == "user" and text.strip():
            last = text
    if not last:
        raise ValueError("there is no message of the user with text")
    if body.get("tools") or body.get("functions"):
        needs["tools"] = True
    if isinstance(form := body.get("response_format"), Mapping) and form.get("type") in ("json_schema", "json_object"):
        needs["structured_output"] = True
    return TypedRequest(last, estimate_tokens("\n".join(everything)), needs)


def _parts(content: Any, number: int) -> Iterator[tuple[str, str]]:
    """Kind and text of each part of a message."""
    if content is None:
        return
    for part in [content] if isinstance(content, (str, dict)) else content if isinstance(content, list) else [None]:
        if isinstance(part, str):
            yield "text", part
        elif isinstance(part, dict):
            text = part.get("text", "")
            yield str(part.get("type", "text")), text if isinstance(text, str) else ""
        else:
            raise ValueError(f"message {number}: content must be text or a list of parts")
