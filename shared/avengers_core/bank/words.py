"""Names and words that questions are made of."""

from __future__ import annotations

import random

__all__ = ["CITIES", "NAMES", "PRODUCTS", "VOCABULARY", "made_up_name"]

NAMES = (
    "Ada", "Boris", "Chen", "Dana", "Elif", "Farid", "Greta", "Hugo", "Ines", "Jomo", "Kira", "Luca", "Mona", "Nils",
    "Olga", "Pavel", "Quinn", "Rosa", "Sven", "Tara", "Umar", "Vera", "Wim", "Yara", "Zeno",
)  # fmt: skip

CITIES = (
    "Aarhus", "Bergen", "Cusco", "Davao", "Essen", "Faro", "Ghent", "Haifa", "Izmir", "Jaipur", "Kyoto", "Leeds",
    "Malmo", "Nantes", "Osaka", "Porto", "Quito", "Riga", "Seville", "Turin",
)  # fmt: skip

PRODUCTS = (
    "anvil", "bucket", "candle", "drill", "easel", "funnel", "gasket", "hammer", "kettle", "ladder", "mirror", "needle",
    "pulley", "ratchet", "shovel", "trowel",
)  # fmt: skip

#: Plain words of many letters, for texts that must do without some of them.
VOCABULARY = (
    "amber", "ancient", "apple", "autumn", "basket", "birch", "bold", "bright", "brook", "calm", "cold", "copper",
    "crisp", "dark", "dawn", "deep", "distant", "dusk", "early", "east", "empty", "faint", "falcon", "field", "fog",
    "forest", "fox", "gentle", "gold", "grand", "grass", "grow", "harbour", "hidden", "high", "hills", "horizon", "humid",
    "ice", "idle", "ink", "iron", "island", "ivory", "jade", "jolly", "jump", "just", "keen", "kind", "kite", "lantern",
    "light", "lonely", "long", "low", "lush", "marsh", "mild", "mint", "moon", "moss", "narrow", "night", "north", "oak",
    "ocean", "old", "open", "orchid", "pale", "path", "pilgrim", "pink", "plum", "quick", "quiet", "rain", "rapid",
    "river", "road", "rust", "salt", "sand", "shadow", "silk", "slow", "small", "soft", "south", "still", "storm", "sun",
    "tall", "thin", "tidy", "trunk", "twig", "under", "unknown", "up", "urban", "valley", "vast", "velvet", "vivid",
    "walk", "warm", "wild", "wind", "wood", "yarn", "yellow", "young", "zeal", "zigzag",
)  # fmt: skip

_ONSETS = ("b", "d", "f", "g", "k", "l", "m", "n", "p", "r", "s", "t", "v", "z", "br", "kr", "st", "tr")
_VOWELS = ("a", "e", "i", "o", "u", "ai", "ea")
_CODAS = ("", "l", "n", "r", "s", "x", "nd", "rk")


def made_up_name(rng: random.Random, syllables: int = 2) -> str:
    """A name that nobody has."""
    parts = (rng.choice(_ONSETS) + rng.choice(_VOWELS) for _ in range(syllables))
    return ("".join(parts) + rng.choice(_CODAS)).capitalize()
