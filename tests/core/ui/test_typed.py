from __future__ import annotations

import json

import pytest
from avengers_core.ui.typed import read_request

IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}


@pytest.mark.parametrize("text", ["What is 17 * 23?", "[1, 2]", '{"a": 1}', "12", '["role"]', "\ud800 odd", "{broken"])
def test_plain_text_is_the_request(text: str) -> None:
    request = read_request(text)
    assert (request.text, request.input_tokens, request.needs) == (text, None, {})


def test_a_chat_request_tells_what_it_needs() -> None:
    body = {
        "model": "gpt-5-mini",
        "messages": [
            {"role": "system", "content": "Be brief. " * 100},
            {"role": "user", "content": "Hello"},
            {"role": "assistant", "content": None, "tool_calls": []},
            {"role": "user", "content": [{"type": "text", "text": "What is in this picture?"}, IMAGE]},
        ],
        "tools": [{"type": "function", "function": {"name": "look"}}],
        "response_format": {"type": "json_schema", "json_schema": {}},
    }
    request = read_request(json.dumps(body))
    assert request.text == "What is in this picture?"
    assert request.needs == {"images": True, "tools": True, "structured_output": True}
    assert request.input_tokens is not None
    assert request.input_tokens > 200


def test_a_list_of_messages_and_the_responses_api() -> None:
    messages = [{"role": "user", "content": "Hi"}]
    assert read_request(json.dumps(messages)).text == "Hi"
    assert read_request(json.dumps({"input": messages})).text == "Hi"


@pytest.mark.parametrize(
    ("messages", "error"),
    [
        (["hi"], "message 1: must be an object"),
        ([{"role": "user", "content": 3}], "message 1: content must be text"),
        ([{"role": "user", "content": [3]}], "message 1: content must be text"),
        ([{"role": "system", "content": "x"}], "no message of the user"),
        ([], "no message of the user"),
    ],
)
def test_messages_that_are_none_are_told(messages: list[object], error: str) -> None:
    with pytest.raises(ValueError, match=error):
        read_request(json.dumps({"messages": messages}))
