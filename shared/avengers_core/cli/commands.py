"""All commands: where each is, and what the list of them says. A command's module is imported only if it is run."""

from __future__ import annotations

from importlib import import_module
from typing import Any, NamedTuple

__all__ = ["COMMANDS", "Listed"]


class Listed(NamedTuple):
    """A command, or a group of commands, as the list of all shows it.

    Attributes:
        panel: Heading under which it is listed.
        place: Its module in this package and its name there.
        summary: The first paragraph of its help.
    """

    panel: str
    place: str
    summary: str

    def load(self) -> Any:
        """The function of the command, or the application of the group."""
        module, name = self.place.split(":")
        return getattr(import_module(f".{module}", __package__), name)


#: By name, in the order in which they are listed.
COMMANDS = {
    "collect": Listed(
        "Records",
        "collect:collect",
        "Ask your models your questions, grade the answers, and write records to train a router on.",
    ),
    "calibrate": Listed(
        "Records",
        "calibrate:calibrate",
        "Learn what your models can do from generated questions, and write an artifact that knows it.",
    ),
    "records": Listed("Records", "data:records_app", "Look at records, make them from a ledger, or choose from them."),
    "train": Listed("Routers", "train:train", "Train a router on records and write its artifact."),
    "update": Listed(
        "Routers", "train:update", "Add records, models, prices or speeds to an artifact; its clusters stay."
    ),
    "inspect": Listed(
        "Routers",
        "route:inspect",
        "Show what is in an artifact: settings, models with prices, and clusters with their datasets and best models.",
    ),
    "route": Listed("Routers", "route:route", "Choose a model for one query, and explain the choice."),
    "serve": Listed("Routers", "serve:serve", "Serve an OpenAI-compatible endpoint."),
    "models": Listed(
        "Routers",
        "models:models_app",
        "List the models that can be routed among today, or show all that is known of one.",
    ),
    "evaluate": Listed(
        "Evidence",
        "evaluate:evaluate",
        "Show accuracy and cost along alpha, beside single models, random choices, nearest neighbours and the oracle.",
    ),
    "sweep": Listed(
        "Evidence", "evidence:sweep", "Try many settings on many splits, and write curves.csv and summary.csv."
    ),
    "recommend": Listed(
        "Evidence",
        "evidence:recommend",
        "Recommend the alpha that meets a target of accuracy or cost, and show how certain that is.",
    ),
    "report": Listed(
        "Evidence",
        "evidence:report",
        "Write a report that opens offline in a browser, the same as Markdown, and its pictures.",
    ),
    "compare": Listed("Evidence", "evidence:compare", "Compare two artifacts on the same records, query by query."),
    "routerarena": Listed(
        "Evidence",
        "evidence:routerarena",
        "Write RouterArena's prediction file. Its queries are for evaluation only: never train on them.",
    ),
    "ui": Listed(
        "Production",
        "ui:ui",
        "Open a console in the browser: what was spent, why each model was chosen, and what to do next.",
    ),
    "ledger": Listed(
        "Production",
        "ledger:ledger",
        "Show what calls cost, by model, day, tag or session. A call with several tags counts for each of them.",
    ),
    "feedback": Listed("Production", "ledger:feedback", "Record how good a logged answer was."),
    "monitor": Listed(
        "Production",
        "ledger:monitor",
        "Compare live queries and their cost with those of training, and advise when to train again.",
    ),
    "shadow": Listed(
        "Production",
        "shadow:shadow",
        "Ask other models what your users asked, judge all answers, and write records that update takes.",
    ),
}
