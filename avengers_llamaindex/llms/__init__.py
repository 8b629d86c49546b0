"""`AvengersLLM`: a LlamaIndex LLM that sends each request to the model that the router chooses."""

from .base import AvengersLLM

__all__ = ["AvengersLLM"]
