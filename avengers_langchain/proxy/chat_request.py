"""The body of ``POST /v1/chat/completions``, checked whole: what passes can be handed to LangChain."""

from __future__ import annotations

import json
import math
import re
from typing import Annotated, Any, Literal

from langchain_core.messages import BaseMessage, convert_to_messages
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

__all__ = ["IGNORED", "ChatRequest", "Message"]

#: Fields that only OpenAI knows and that an answer is as good without.
IGNORED = (
    "frequency_penalty", "logit_bias", "metadata", "modalities", "prediction",
    "presence_penalty", "prompt_cache_key", "safety_identifier", "seed", "service_tier", "store", "user", "verbosity",
)  # fmt: skip


#: Images that all models' clients take: those of the web, and those in the URL itself.
_IMAGE_URL = re.compile(r"https?://[^\r\n]+|data:image/[a-z0-9.+-]+;base64,[A-Za-z0-9+/=\s]+", re.IGNORECASE)


def _invalid(message: str) -> PydanticCustomError:
    return PydanticCustomError("invalid", "{message}", {"message": message})


def _check_finite(value: Any) -> Any:
    """``value``, if every number in it can be sent as JSON."""
    if isinstance(value, float) and not math.isfinite(value):
        raise _invalid("numbers must be finite")
    if isinstance(value, (dict, list)):
        for inner in value.values() if isinstance(value, dict) else value:
            _check_finite(inner)
    return value


def _check_arguments(text: str) -> str:
    """Arguments of a tool call as a JSON object that can be sent on; none at all are an empty object.

    Models do write arguments that are none. A client's history holds them, and most providers refuse them: they are
    sent on as a text within an object.
    """
    try:
        arguments = json.loads(text, strict=False) if text.strip() else {}
        json.dumps(arguments, ensure_ascii=False, allow_nan=False).encode()  # a lone surrogate cannot be sent
    except (ValueError, RecursionError):
        arguments = None
    if isinstance(arguments, dict):
        return text if text.strip() else "{}"
    return json.dumps({"invalid_arguments": text.encode("utf-8", "replace").decode()})


def _check_url(url: str) -> str:
    if not _IMAGE_URL.fullmatch(url):
        raise _invalid("must be an http or https URL, or one like 'data:image/png;base64,...'")
    return url


def _check_object_schema(schema: dict[str, Any]) -> dict[str, Any]:
    """A JSON schema of an object, with its properties.

    Of the schema only what LangChain reads is checked. It tells a JSON schema from tools of other providers by the keys
    of the root.
    """
    if schema.get("type", "object") != "object":
        raise _invalid("the root of a schema must be of type 'object'")
    if not isinstance(schema.get("properties", {}), dict):
        raise _invalid("'properties' must be an object")
    if not isinstance(schema.get("description", ""), str):
        raise _invalid("'description' must be a string")
    if foreign := sorted({"name", "toolSpec", "input_schema"} & set(schema)):
        raise _invalid(f"{foreign[0]!r} is not a keyword of JSON schema")
    return {"type": "object", "properties": {}, **_check_finite(schema)}


#: A JSON schema of an object.
ObjectSchema = Annotated[dict[str, Any], AfterValidator(_check_object_schema)]


class FunctionCall(BaseModel):
    """What a model called, and with what."""

    name: str = Field(min_length=1)
    arguments: Annotated[str, AfterValidator(_check_arguments)] = "{}"


class ToolCall(BaseModel):
    """A call of a tool by the assistant."""

    id: str
    type: Literal["function"] = "function"
    function: FunctionCall


class CacheControl(BaseModel):
    """Up to here the prompt may be cached by a provider that wants to be told."""

    type: str
    ttl: str | None = None


class TextPart(BaseModel):
    """Text of a message."""

    type: Literal["text"]
    text: str
    cache_control: CacheControl | None = None


class RefusalPart(BaseModel):
    """Words with which the assistant refused."""

    type: Literal["refusal"]
    refusal: str


class ImageURL(BaseModel):
    """Where an image is."""

    url: Annotated[str, AfterValidator(_check_url)]
    detail: str | None = None


class ImagePart(BaseModel):
    """An image of a message."""

    type: Literal["image_url"]
    image_url: ImageURL
    cache_control: CacheControl | None = None


class InputAudio(BaseModel):
    """Audio in base64."""

    data: str = Field(min_length=1)
    format: str = Field(min_length=1)


class AudioPart(BaseModel):
    """Audio of a message."""

    type: Literal["input_audio"]
    input_audio: InputAudio


class InputFile(BaseModel):
    """A file, as a data URL or by its id."""

    file_data: str | None = None
    file_id: str | None = None
    filename: str | None = None

    @model_validator(mode="after")
    def _check_content(self) -> InputFile:
        if not self.file_data and not self.file_id:
            raise _invalid("file_data or file_id is missing")
        return self


class FilePart(BaseModel):
    """A file of a message."""

    type: Literal["file"]
    file: InputFile


Part = Annotated[TextPart | RefusalPart | ImagePart | AudioPart | FilePart, Field(discriminator="type")]


class AudioReference(BaseModel):
    """Audio that the assistant answered with."""

    id: str


class Message(BaseModel):
    """A message of the conversation. Fields that OpenAI does not have are ignored.

    Functions, which are what tools were before, are not supported: few providers know them.
    """

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | list[Part] | None = None
    name: str | None = None
    tool_call_id: str | None = None
    tool_calls: list[ToolCall] | None = None
    function_call: None = Field(default=None, exclude=True)
    refusal: str | None = None
    audio: AudioReference | None = None

    @model_validator(mode="after")
    def _check_role(self) -> Message:
        if self.role == "tool" and self.tool_call_id is None:
            raise _invalid("a message of role 'tool' needs a tool_call_id")
        return self

    def fields(self) -> dict[str, Any]:
        """The message as LangChain converts it, with the fields of its role only."""
        unused = {"tool_calls", "refusal", "audio"} if self.role != "assistant" else set()
        unused |= {"tool_call_id"} if self.role != "tool" else set()
        return {"content": "", **self.model_dump(exclude_none=True, exclude=unused)}


class Function(BaseModel):
    """A function that the model may call."""

    name: str = Field(min_length=1)
    description: str | None = None
    parameters: ObjectSchema = Field(default_factory=lambda: _check_object_schema({}))
    strict: bool | None = None


class Tool(BaseModel):
    """A tool that the model may call."""

    type: Literal["function"]
    function: Function


class NamedFunction(BaseModel):
    """The name of a function."""

    name: str


class NamedTool(BaseModel):
    """A tool that the model must call."""

    type: Literal["function"] = "function"
    function: NamedFunction


class JSONSchema(BaseModel):
    """The schema of a structured answer."""

    name: str = Field(default="answer", min_length=1)
    description: str | None = None
    schema_: ObjectSchema = Field(default_factory=lambda: _check_object_schema({}), alias="schema")
    strict: bool | None = None


class ResponseFormat(BaseModel):
    """The form of an answer."""

    type: Literal["text", "json_object", "json_schema"] = "text"
    json_schema: JSONSchema | None = None

    @model_validator(mode="after")
    def _check_schema(self) -> ResponseFormat:
        if self.type == "json_schema" and self.json_schema is None:
            raise _invalid("json_schema is missing")
        return self


class StreamOptions(BaseModel):
    """What a stream holds besides its text."""

    include_usage: bool | None = None


class ChatRequest(BaseModel):
    """``POST /v1/chat/completions``."""

    model_config = ConfigDict(extra="allow")

    model: str
    messages: list[Message] = Field(min_length=1)
    tools: list[Tool] | None = None
    tool_choice: Literal["none", "auto", "required"] | NamedTool | None = None
    response_format: ResponseFormat | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    temperature: float | None = Field(default=None, ge=0, le=2)
    top_p: float | None = Field(default=None, ge=0, le=1)
    max_tokens: int | None = Field(default=None, ge=1)
    max_completion_tokens: int | None = Field(default=None, ge=1)
    stop: str | list[str] | None = None
    n: int | None = 1
    logprobs: bool | None = None
    reasoning_effort: str | None = None
    parallel_tool_calls: bool | None = None

    @model_validator(mode="after")
    def _check_tool_choice(self) -> ChatRequest:
        if isinstance(self.tool_choice, NamedTool) and self.tools:
            names = [tool.function.name for tool in self.tools]
            if self.tool_choice.function.name not in names:
                raise _invalid(f"tool_choice names a tool that is not among the tools: {', '.join(names)}"[:300])
        return self

    def unsupported(self) -> str | None:
        """The first field that would change the answer and is not supported."""
        if self.n not in (None, 1):
            return "n"
        if self.logprobs:
            return "logprobs"
        extra = (self.model_extra or {}).items()
        return next((name for name, value in extra if value is not None and name not in IGNORED), None)

    @property
    def ignored(self) -> list[str]:
        """Fields given that have no effect."""
        return sorted(name for name, value in (self.model_extra or {}).items() if value is not None)

    def langchain_messages(self) -> list[BaseMessage]:
        """The conversation.

        Raises:
            ValueError: If LangChain refuses a message.
        """
        return convert_to_messages([message.fields() for message in self.messages])

    def arguments(self) -> dict[str, Any]:
        """Arguments of the call."""
        tools = [tool.model_dump(exclude_none=True) for tool in self.tools or ()]
        given: dict[str, Any] = {
            "temperature": self.temperature,
            "top_p": self.top_p,
            "max_tokens": self.max_completion_tokens or self.max_tokens,
            "stop": [self.stop] if isinstance(self.stop, str) else self.stop,
            "tools": tools or None,
            "tool_choice": self._tool_choice() if tools else None,
            "parallel_tool_calls": self.parallel_tool_calls if tools else None,
            "reasoning_effort": self.reasoning_effort,
        }
        if self.response_format is not None and self.response_format.type == "json_object":
            given["response_format"] = {"type": "json_object"}
        return {name: value for name, value in given.items() if value is not None}

    def _tool_choice(self) -> str | None:
        if isinstance(self.tool_choice, NamedTool):
            return self.tool_choice.function.name
        return "any" if self.tool_choice == "required" else self.tool_choice

    @property
    def strict(self) -> bool | None:
        """Whether a structured answer must keep to its schema, None if the client does not say."""
        requested = self.response_format
        return requested.json_schema.strict if requested is not None and requested.json_schema is not None else None

    @property
    def answer_schema(self) -> dict[str, Any] | None:
        """The JSON schema of a structured answer, with a name; None if the answer is text."""
        requested = self.response_format
        if requested is None or requested.type != "json_schema" or requested.json_schema is None:
            return None
        wanted = requested.json_schema
        return {"description": wanted.description or "", **wanted.schema_, "title": wanted.name}
