"""Pages in HTML from templates that lie beside the code."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import MissingExtraError
from .results import to_json

if TYPE_CHECKING:
    import jinja2

__all__ = ["page_templates", "render_page"]


def render_page(template: Path, feature: str, extra: str, **values: Any) -> str:
    """Fill a template; all values are escaped.

    Args:
        template: The template's file.
        feature: What the page is, for the error message.
        extra: The extra of this package that installs what it needs.
        values: What the template names.

    Raises:
        MissingExtraError: If jinja2 is not installed.
    """
    return str(page_templates(template.parent, feature, extra).get_template(template.name).render(**values))


def page_templates(folder: Path, feature: str, extra: str) -> jinja2.Environment:
    """Templates of a folder; all values are escaped.

    Args:
        folder: The folder.
        feature: What the pages are, for the error message.
        extra: The extra of this package that installs what they need.

    Raises:
        MissingExtraError: If jinja2 is not installed.
    """
    try:
        import jinja2
    except ImportError:
        raise MissingExtraError(feature, extra) from None
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.policies["json.dumps_function"] = lambda value, **_: to_json(value)
    return environment
