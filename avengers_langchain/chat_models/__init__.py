"""`ChatAvengers`: a chat model that sends each request to the model that the router chooses."""

from .base import ChatAvengers
from .binding import AvengersBinding

__all__ = ["AvengersBinding", "ChatAvengers"]
