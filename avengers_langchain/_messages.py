"""What the router must know about the messages of a request, and messages that a provider accepts."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from avengers_core.adapters import last_turn, rewrite_history
from avengers_core.catalog import find_provider
from avengers_core.dispatch import conversation
from avengers_core.dispatch.options import Prompt
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.messages.tool import tool_call_chunk
from langchain_core.messages.utils import count_tokens_approximately

__all__ = ["RouteOn", "as_chunk", "as_prompt", "count_tokens", "portable", "routing_text"]

RouteOn = Literal["last_human", "question", "with_system", "conversation"] | Callable[[list[BaseMessage]], str]

_BLOCKS = {
    "image": "images",
    "image_url": "images",
    "input_image": "images",
    "audio": "audio",
    "input_audio": "audio",
    "video": "video",
    "file": "pdf",
    "document": "pdf",
    "input_file": "pdf",
}
#: Input tokens that a picture or a sound is counted as.
MEDIA_TOKENS = 85.0
#: Characters of a document in base64 for each of its tokens: about 50 KB a page, which is 300 tokens at least.
DOCUMENT_CHARACTERS_PER_TOKEN = 200.0
#: Providers that take instructions only at the beginning.
_SYSTEM_FIRST = frozenset(
    {"anthropic", "google_genai", "google_vertexai", "google", "amazon_bedrock", "bedrock", "bedrock_converse"}
)
#: Parts of a block that mark what is kept in a prompt cache, or may be cited, and the providers that take them.
_MARKS = frozenset({"cache_control", "cachePoint", "citations"})
_MARK_TAKERS = frozenset(
    {"anthropic", "amazon_bedrock", "bedrock", "bedrock_converse", "google_vertexai", "openrouter"}
)
_MIME = {"image": "images", "audio": "audio", "video": "video"}


def routing_text(messages: Sequence[BaseMessage], route_on: RouteOn) -> str:
    """The text that is embedded.

    Args:
        messages: The conversation, oldest message first.
        route_on: The name of a text, or a function of the messages.
    """
    return conversation.routing_text(messages, route_on, _role, _text)


def as_chunk(message: BaseMessage) -> AIMessageChunk:
    """An answer as one chunk of a stream, with all of its tool calls, valid or not.

    Args:
        message: The answer, or a chunk, which stays as it is.
    """
    if isinstance(message, AIMessageChunk):
        return message
    fields = message.model_dump(exclude={"type", "tool_calls", "invalid_tool_calls"})
    called = getattr(message, "tool_calls", [])
    calls = [(call["name"], json.dumps(call["args"]), call["id"]) for call in called]
    calls += [(call["name"], call["args"], call["id"]) for call in getattr(message, "invalid_tool_calls", [])]
    chunks = [
        tool_call_chunk(name=name, args=args, id=call_id, index=position)
        for position, (name, args, call_id) in enumerate(calls)
    ]
    return AIMessageChunk(**fields, tool_call_chunks=chunks)


def _role(message: BaseMessage) -> str:
    return "user" if isinstance(message, HumanMessage) else message.type


def _text(message: BaseMessage) -> str:
    return str(message.text)


def as_prompt(
    messages: Sequence[BaseMessage], route_on: RouteOn, needs: Mapping[str, bool | int], *, tool_tokens: float = 0.0
) -> Prompt:
    """What the dispatcher must know about the messages of a request.

    Args:
        messages: The conversation, oldest message first.
        route_on: The name of the text that is embedded, or a function of the messages.
        needs: Capabilities that the request's arguments ask for.
        tool_tokens: Input tokens of the request's tools.
    """
    all_needs = dict(needs)
    for message in messages:
        if not isinstance(message.content, str):
            all_needs.update(dict.fromkeys(_media(message.content), True))
    turn = last_turn(messages, lambda message: isinstance(message, ToolMessage), _read_answer)
    return Prompt(
        text=routing_text(messages, route_on),
        needs=all_needs,
        tokens=count_tokens(messages) + tool_tokens,
        current=turn.model,
        in_tool_loop=turn.in_tool_loop,
        cached_tokens=turn.cached_tokens,
    )


def count_tokens(messages: Sequence[BaseMessage]) -> float:
    """Input tokens: an estimate for short requests, tiktoken's count from 2,000 tokens on; media by kind and size."""
    plain, media = list(messages), 0.0
    for place, message in enumerate(messages):
        if isinstance(message.content, list):
            kept = [
                block for block in message.content if not (isinstance(block, dict) and block.get("type") in _BLOCKS)
            ]
            if len(kept) < len(message.content):
                media += sum(_media_tokens(block) for block in message.content if isinstance(block, dict))
                plain[place] = message.model_copy(update={"content": kept})
    return conversation.refine_count(count_tokens_approximately(plain), lambda: map(_text, messages)) + media


def _media_tokens(block: Mapping[str, Any]) -> float:
    """Input tokens of a picture, a sound or a document; 0 for other blocks."""
    kind = _BLOCKS.get(str(block.get("type")))
    if kind != "pdf":
        return MEDIA_TOKENS if kind else 0.0
    inner = (block.get(name) for name in ("source", "file", "input_file"))
    parts = [block, *(part for part in inner if isinstance(part, Mapping))]
    data = max((len(value) for part in parts for value in part.values() if isinstance(value, (str, bytes))), default=0)
    return max(MEDIA_TOKENS, data / DOCUMENT_CHARACTERS_PER_TOKEN)


def _media(blocks: Sequence[str | dict[str, Any]]) -> set[str]:
    kinds = set()
    for block in blocks:
        if isinstance(block, dict):
            kind = _BLOCKS.get(str(block.get("type")))
            if kind == "pdf":
                mime = str(block.get("mime_type") or (block.get("source") or {}).get("media_type") or "")
                kind = _MIME.get(mime.partition("/")[0], kind) if not mime.startswith("text/") else None
            if kind:
                kinds.add(kind)
    return kinds


def _read_answer(message: BaseMessage) -> tuple[str | None, int] | None:
    """The model and the tokens of a model's answer."""
    if not isinstance(message, AIMessage):
        return None
    usage: Mapping[str, Any] = message.usage_metadata or {}
    tokens = usage.get("input_tokens", 0) + usage.get("output_tokens", 0)
    decision = message.response_metadata.get("avengers") or {}
    return decision.get("model") or message.response_metadata.get("model_name"), tokens


def portable(messages: list[BaseMessage], provider: str) -> list[BaseMessage]:
    """Messages that a provider accepts: answers of other providers as plain text and tool calls.

    Reasoning blocks, signatures and other providers' content blocks are left out. Ids of tool calls are changed if some
    provider refuses them. Marks of a prompt cache and of citations are left out for providers that refuse them, and
    instructions that come late are put at the beginning for those that take them there alone.

    Args:
        messages: The conversation, oldest message first.
        provider: LangChain's name of the provider.

    Returns:
        The rewritten messages, or the list itself if there is nothing to change.
    """
    given = messages
    if provider in _SYSTEM_FIRST:
        messages = _system_first(messages)
    if provider not in _MARK_TAKERS:
        messages = [_without_marks(message) for message in messages]
    callers = [message for message in messages if isinstance(message, AIMessage) and message.tool_calls]
    own = bool(callers) and all(_author(one) and _is_of(one, provider) for one in callers)
    rewritten = rewrite_history(
        messages, None if own else _call_ids, lambda message, ids: _portable(message, provider, ids)
    )
    same = len(rewritten) == len(given) and all(a is b for a, b in zip(rewritten, given, strict=True))
    return given if same else rewritten


def _system_first(messages: list[BaseMessage]) -> list[BaseMessage]:
    """All instructions in one message at the beginning, if some come later."""
    system = [message for message in messages if isinstance(message, SystemMessage)]
    if not system or (len(system) == 1 and messages[0] is system[0]):
        return messages
    contents = [message.content for message in system]
    texts = [content for content in contents if isinstance(content, str)]
    joined: Any = "\n\n".join(texts)
    if len(texts) < len(contents):
        joined = [
            block
            for content in contents
            for block in ([{"type": "text", "text": content}] if isinstance(content, str) else content)
        ]
    return [SystemMessage(joined), *(message for message in messages if not isinstance(message, SystemMessage))]


def _without_marks(message: BaseMessage) -> BaseMessage:
    """A message without marks of a prompt cache and of citations, which say nothing to the model."""
    content = message.content
    if isinstance(content, str) or not any(isinstance(block, dict) and block.keys() & _MARKS for block in content):
        return message
    plain = [
        {name: value for name, value in block.items() if name not in _MARKS} if isinstance(block, dict) else block
        for block in content
    ]
    return message.model_copy(update={"content": [block for block in plain if block]})


def _call_ids(message: BaseMessage) -> list[str | None]:
    if isinstance(message, ToolMessage):
        return [message.tool_call_id]
    return [call["id"] for call in message.tool_calls] if isinstance(message, AIMessage) else []


def _with_ids(content: Any, ids: Mapping[str, str]) -> Any:
    """Content whose blocks of tool calls have the new ids."""
    if isinstance(content, str):
        return content
    return [
        {**block, **{name: ids[block[name]] for name in ("id", "call_id", "tool_use_id") if block.get(name) in ids}}
        if isinstance(block, dict)
        else block
        for block in content
    ]


def _author(message: AIMessage) -> str | None:
    """The provider that wrote an answer, None if that is unknown."""
    decision = message.response_metadata.get("avengers") or {}
    return decision.get("provider") or message.response_metadata.get("model_provider")


def _is_of(message: AIMessage, provider: str) -> bool:
    """Whether a provider wrote an answer; an answer of unknown origin counts as its own."""
    author = _author(message)
    if author is None or author == provider:
        return True
    known = find_provider(author), find_provider(provider)
    return known[0] is not None and known[0] == known[1]


def _portable(message: BaseMessage, provider: str, ids: Mapping[str, str]) -> BaseMessage:
    if isinstance(message, ToolMessage):
        renamed = ids.get(message.tool_call_id)
        return message.model_copy(update={"tool_call_id": renamed}) if renamed else message
    if not isinstance(message, AIMessage):
        return message
    foreign = not _is_of(message, provider)
    plain = isinstance(message.content, str)
    calls = [{**call, "id": ids.get(call["id"] or "", call["id"])} for call in message.tool_calls]
    if (not foreign or (plain and not message.additional_kwargs)) and calls == message.tool_calls:
        return message
    if not foreign:
        return message.model_copy(update={"tool_calls": calls, "content": _with_ids(message.content, ids)})
    return AIMessage(
        content=message.content if plain else str(message.text),
        tool_calls=calls,
        invalid_tool_calls=message.invalid_tool_calls,
        id=message.id,
        name=message.name,
        usage_metadata=message.usage_metadata,
        response_metadata={
            key: value for key, value in message.response_metadata.items() if key in ("avengers", "model_name")
        },
    )
