"""The console's application: its pages, and the parts of them that the browser asks for again."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import quote

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from fastapi.staticfiles import StaticFiles
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from .._utils.pages import page_templates
from .._utils.results import to_json
from .._version import __version__
from ..catalog.catalog import default_catalog
from ..errors import AvengersError
from ..ledger.budget import dollars
from ..ledger.entry import now
from ..ledger.reader import CallFilter
from ..routing.options import RouteOverrides
from .console import Console
from .guard import Guard
from .quality import advise, judged_models, recent_drift
from .spending import sum_up
from .typed import read_request

__all__ = ["make_app"]

_HERE = Path(__file__).parent

#: Periods that pages can show, in days.
PERIODS = {"today": 1, "7d": 7, "30d": 30, "90d": 90, "all": None}

#: Seconds between two looks of a page at whether there are new rows.
REFRESH = 3

#: Capabilities that a request can be said to need.
NEEDS = {"tools": "tools", "images": "an image", "structured_output": "a schema"}

#: Calls of a page.
PAGE = 50


def make_app(console: Console, token: str | None = None, hosts: Collection[str] | None = None) -> FastAPI:
    """The application.

    Args:
        console: What is shown.
        token: What opens it; None: anyone may see it.
        hosts: Host names under which it may be asked; None: any.

    Raises:
        MissingExtraError: If the extra ``ui`` is not installed.
    """
    app = FastAPI(title="Avengers", docs_url=None, redoc_url=None, openapi_url=None)
    pages = _Pages(console)
    app.add_middleware(Guard, token=token, hosts=hosts)
    app.mount("/static", StaticFiles(directory=_HERE / "static"))
    for kind in (AvengersError, ValueError, HTTPException, RequestValidationError):
        app.add_exception_handler(kind, pages.failed)
    routes: dict[str, Callable[..., Any]] = {
        "/": pages.start,
        "/spending": pages.spending,
        "/spending/figures": pages.figures,
        "/spending/details": pages.details,
        "/calls": pages.calls,
        "/calls/find": pages.find,
        "/calls/{name:path}": pages.call,
        "/try": pages.trial_page,
        "/models": pages.models,
        "/models/{name:path}": pages.model,
        "/quality": pages.quality,
    }
    for path, endpoint in routes.items():
        app.get(path, response_model=None)(endpoint)
    app.post("/try", response_model=None)(pages.trial)
    return app


class _Pages:
    """The pages.

    Args:
        console: What they show.
    """

    def __init__(self, console: Console) -> None:
        self._console, self._reader = console, console.reader
        self._templates = page_templates(_HERE / "templates", "the console", "ui")
        self._templates.filters |= {"usd": _usd, "count": _count, "seconds": _seconds, "json": _json}
        self._templates.globals |= {
            "version": __version__,
            "refresh": REFRESH,
            "periods": list(PERIODS),
            "needs": NEEDS,
        }

    def _page(self, template: str, status: int = 200, **values: Any) -> HTMLResponse:
        text = self._templates.get_template(template).render(ledger=self._reader.name, **values)
        return HTMLResponse(text, status)

    async def failed(self, request: Request, error: Exception) -> Response:
        """The page for what could not be shown."""
        status = error.status_code if isinstance(error, HTTPException) else 400
        why = error.detail if isinstance(error, HTTPException) else str(error)
        if isinstance(error, RequestValidationError):
            why = "; ".join(f"{one['loc'][-1]}: {one['msg']}" for one in error.errors())
        template = "error.part.html" if request.headers.get("hx-request") else "error.html"
        return self._page(template, 200 if template == "error.part.html" else status, page="", why=why)

    def start(self) -> Response:
        """``GET /``."""
        return RedirectResponse("/spending")

    def spending(self, period: str = "30d") -> Response:
        """``GET /spending``."""
        return self._page("spending.html", page="spending", **self._figures(period))

    def figures(self, period: str = "30d", seen: int = -1) -> Response:
        """``GET /spending/figures``: the figures, or 204 if there is no new row."""
        if self._reader.newest() == seen:
            return Response(status_code=204)
        return self._page("figures.part.html", **self._figures(period))

    def _figures(self, period: str) -> dict[str, Any]:
        newest = self._reader.newest()
        rows = self._reader.totals(_since(period))
        spending = sum_up(rows)
        chart = {"days": spending.days, "series": spending.by_day}
        return {
            "period": period,
            "newest": newest,
            "spending": spending,
            "comparison": self._console.compare(rows),
            "limits": [
                {**row, "share": row["picodollars"] / max(row["limit_picodollars"], 1)}
                for row in self._reader.limits()[:10]
            ],
            "resting": self._reader.cooling_down(),
            "chart": chart,
        }

    def details(self, period: str = "30d") -> Response:
        """``GET /spending/details``: sums by tag and session, which take longer."""
        since = _since(period)
        tags, sessions = self._reader.tags(since)[:10], self._reader.sessions(since, limit=10)
        return self._page("details.part.html", tags=tags, sessions=sessions)

    def calls(
        self,
        request: Request,
        model: str = "",
        status: str = "",
        session: str = "",
        tag: str = "",
        since: str = "",
        until: str = "",
        before: int | None = None,
    ) -> Response:
        """``GET /calls``: attempts, the newest first."""
        chosen = CallFilter(since or None, until or None, model, status, session, tag)
        rows = self._reader.page(chosen, before, PAGE)
        template = "calls.part.html" if before is not None and request.headers.get("hx-request") else "calls.html"
        more = rows[-1]["id"] if len(rows) == PAGE else None
        return self._page(template, page="calls", rows=rows, chosen=chosen, more=more)

    def find(self, name: str = "") -> Response:
        """``GET /calls/find``: to a call by its id or its run's."""
        if not name.strip():
            raise HTTPException(404, "give the id of a call or of a run")
        return RedirectResponse(f"/calls/{quote(name.strip())}", 303)

    def call(self, name: str) -> Response:
        """``GET /calls/{name}``: a call, or all calls of a run."""
        attempts = self._reader.call(name)
        if not attempts:
            raise HTTPException(404, f"the ledger has no call and no run {name!r}")
        by_call: dict[str, list[dict[str, Any]]] = {}
        for attempt in attempts:
            by_call.setdefault(attempt["call"], []).append(attempt)
        calls = [
            {
                "id": call,
                "attempts": rows,
                "decision": self._reader.decision(call),
                "feedback": self._reader.feedback({call, rows[0]["run"]} - {""}),
                "prompt": next((row["prompt"] for row in rows if row["prompt"]), None),
            }
            for call, rows in by_call.items()
        ]
        return self._page("call.html", page="calls", name=name, calls=calls)

    def trial_page(self) -> Response:
        """``GET /try``."""
        default = self._console.router.artifact.manifest.settings.alpha
        return self._page("try.html", page="try", alpha=default, models=self._console.default_models)

    async def trial(self, request: Request) -> Response:
        """``POST /try``: a choice. Nothing is sent to a model."""
        async with request.form(max_part_size=20 << 20) as form:
            given = {name: value for name, value in form.multi_items() if isinstance(value, str)}
            wanted = [name for name in NEEDS if given.get(name)]
        return await run_in_threadpool(self._trial, given, wanted)

    def _trial(self, given: Mapping[str, str], wanted: list[str]) -> Response:
        text = given.get("text", "")
        if not text.strip():
            return self._page("error.part.html", why="Type or paste a request.")
        options: RouteOverrides = {}
        if given.get("knob") == "min_quality":
            options["min_quality"] = _number(given, "min_quality")
        else:
            options["alpha"] = _number(given, "alpha")
        for name in ("max_cost", "max_seconds"):
            if given.get(name, "").strip():
                options[name] = _number(given, name)
        models = given.get("models", "").replace(",", " ").split()
        trial = self._console.try_request(read_request(text), models, dict.fromkeys(wanted, True), options)
        return self._page("trial.part.html", trial=trial, decision=trial.decision.summary(), knob=given.get("knob"))

    def models(self, request: Request, words: str | None = None) -> Response:
        """``GET /models``: current models, or those of the catalogue with some words in their id."""
        if words is not None:
            return self._page("catalog.part.html", found=self._console.all_models(words))
        offered = self._console.offered_models()
        tasks = list(offered[0].listed.expected) if offered else []
        return self._page("models.html", page="models", offered=offered, tasks=tasks)

    def model(self, name: str) -> Response:
        """``GET /models/{name}``: all that is known of a model."""
        catalog = default_catalog()
        facts = catalog.describe(name)
        return self._page("model.html", page="models", name=name, facts=facts, efforts=catalog.efforts(name))

    def quality(self) -> Response:
        """``GET /quality``."""
        artifact, reader = self._console.router.artifact, self._reader
        drift, feedback = recent_drift(artifact, reader), reader.feedback_by_model()
        newest = reader.page(CallFilter(), limit=1)
        kept = bool(newest) and any(row["prompt"] for row in reader.call(newest[0]["call"]))
        advice = advise(
            drift,
            artifact,
            feedback,
            reader.name,
            self._console.artifact or "default",
            prompts=kept,
            timed=bool(newest),
        )
        return self._page(
            "quality.html",
            page="quality",
            drift=drift,
            feedback=feedback,
            judged=judged_models(self._console.records),
            files=self._console.records,
            advice=advice,
        )


def _since(period: str) -> str | None:
    """First day (UTC) of a period; None: all.

    Raises:
        ValueError: If there is no such period.
    """
    if period not in PERIODS:
        raise ValueError(f"period must be one of {', '.join(PERIODS)}, not {period!r}")
    days = PERIODS[period]
    return None if days is None else f"{now() - timedelta(days=days - 1):%Y-%m-%d}"


def _number(given: Mapping[str, str], name: str) -> float:
    try:
        return float(given.get(name, ""))
    except ValueError:
        raise ValueError(f"{name}: {given.get(name, '')!r} is not a number") from None


def _json(value: Any) -> str:
    """JSON that may stand inside an element of a page."""
    return to_json(value).replace("<", "\\u003c")


def _usd(value: Any, *, pico: bool = False) -> str:
    """US dollars, with as many digits as such an amount needs."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "unknown"
    amount = dollars(value) if pico else Decimal(value)
    if amount == 0:
        return "$0"
    sign, amount = "-" if amount < 0 else "", abs(amount)
    digits = 2 if amount >= 1 else 4 if amount >= Decimal("0.01") else 1 - amount.adjusted()
    return f"{sign}${amount:,.{digits}f}"


def _count(value: Any) -> str:
    """A whole number, short if it is large."""
    if value is None:
        return "unknown"
    for limit, unit in ((1e9, "B"), (1e6, "M"), (1e5, "K")):
        if abs(value) >= limit:
            scaled = value / (1e3 if unit == "K" else limit)
            return f"{scaled:.3g}{unit}" if scaled < 999.5 else f"{scaled:,.0f}{unit}"
    return f"{value:,.0f}"


def _seconds(value: float | None) -> str:
    return "unknown" if value is None or math.isnan(value) else f"{value:.2g} s" if value < 10 else f"{value:,.0f} s"
