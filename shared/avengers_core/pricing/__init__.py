"""US dollars of tokens, and tokens as providers report them."""

from .catalog import latest_prices, lookup_price, provider_of, split_price_id
from .tariff import PriceSchedule
from .types import PER, Price, TokenUsage, plain_prices
from .usage import read_usage

__all__ = [
    "PER",
    "Price",
    "PriceSchedule",
    "TokenUsage",
    "latest_prices",
    "lookup_price",
    "plain_prices",
    "provider_of",
    "read_usage",
    "split_price_id",
]
