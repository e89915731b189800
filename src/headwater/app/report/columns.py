"""Profiles and comparisons of tables as HTML: a fragment for notebooks, and a page of its own."""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib.resources import files

from headwater.app.report.colour import variables
from headwater.app.report.markup import Markup, el
from headwater.app.report.page import head
from headwater.app.report.shapes import histogram, place, shape, type_name, values
from headwater.app.report.tables import Change, TableComparison, TableProfile
from headwater.app.report.wording import count, number, odd_sentence, percent, sentence_case
from headwater.stats.profiling.summaries import ColumnSummary

_SPACE = re.compile(r"/\*.*?\*/|\n\s*", re.DOTALL)
_MOST = 300
"""Columns that are drawn; wider tables name the rest."""


def profile_page(made: TableProfile) -> str:
    """Return a profile as one HTML document."""
    return _page(made.name or "Profile", profile_fragment(made))


def comparison_page(made: TableComparison) -> str:
    """Return a comparison as one HTML document."""
    return _page("Comparison", comparison_fragment(made))


def profile_fragment(made: TableProfile) -> Markup:
    """Return a profile as one element with its own style."""
    summary = made.summary
    title = made.name or "Profile"
    lead = f"{count(summary.rows, 'row')}, {count(len(summary.columns), 'column')}"
    cards = [
        _card(one.name, (one,), said=odd_sentence(made.odd_writings(one.name))) for one in summary.columns.values()
    ]
    return _fragment(el("header", el("h2", title), el("p", lead)), _grid(cards, list(summary.columns)))


def comparison_fragment(made: TableComparison) -> Markup:
    """Return a comparison as one element with its own style: what changed first, then the rest."""
    changed = {change.column: change for change in made.changes}
    names = [name for name in changed if name]
    rest = [name for name in made.current.columns if name not in changed]
    whole = changed.get("")
    cards = [_compared(name, made, changed.get(name)) for name in [*names, *rest]]
    grid = _grid([card for card in cards if card], [*names, *rest])
    return _fragment(
        _verdict(made),
        _named(made),
        el("p", prose(whole.detail), class_=f"whole {whole.severity}") if whole else None,
        grid,
    )


def _verdict(made: TableComparison) -> Markup:
    alarms, notices = len(made.alarms), len(made.changes) - len(made.alarms)
    if alarms:
        title, style = f"{count(alarms, 'column')} broke", "alarm"
    elif notices:
        title, style = f"Nothing broke, {count(notices, 'column')} moved", "notice"
    else:
        title, style = (
            ("As it was", "calm") if made.banded else ("Too little to compare, the schema is the same", "notice")
        )
    rows = f"{count(made.reference.rows, 'row')} of reference, {count(made.current.rows, 'row')} in question"
    legend = el(
        "p",
        el("span", class_="key before"),
        "reference",
        el("span", class_="key now"),
        "in question",
        class_="legend",
    )
    return el("header", el("h2", title, class_=style), el("p", f"{rows}. {sentence_case(made.basis)}."), legend)


def prose(text: str) -> list[Markup | str]:
    """Set the names that a sentence quotes with backticks as code."""
    return [el("code", part) if place % 2 else part for place, part in enumerate(text.split("`"))]


def _named(made: TableComparison) -> Markup | None:
    if not made.diagnoses:
        return None
    items = [
        el("li", el("strong", one.fault.replace("_", " ")), " ",
           el("code", one.column) if one.column and f"`{one.column}`" not in one.detail else None, " ",
           prose(one.detail), el("em", "can be undone" if one.invertible else "only the sender can mend it"))
        for one in made.diagnoses[:5]
    ]  # fmt: skip
    return el("section", el("h3", "What this looks like"), el("ul", items), class_="named")


def _compared(name: str, made: TableComparison, change: Change | None) -> Markup | None:
    said = _said(change, made.unit) if change else ""
    pair = [one for one in (made.reference.columns.get(name), made.current.columns.get(name)) if one is not None]
    if not pair:
        return _card(name, (), change, said)
    return _card(name, pair if len(pair) == 2 and pair[0].kind == pair[1].kind else pair[-1:], change, said)


def _card(name: str, columns: Sequence[ColumnSummary], change: Change | None = None, said: str = "") -> Markup:
    style = change.severity if change else ""
    kind = type_name(columns[-1]) if columns else "gone"
    return el(
        "article",
        el("header", el("h3", name or "(no name)", title=name), el("span", kind, class_="kind")),
        el("p", prose(said), class_="said") if said else None,
        _plot(columns),
        _facts(columns) if columns else None,
        class_=f"card {style}".strip(),
    )


def _said(change: Change, unit: str) -> str:
    where = "" if len(change.pieces) <= 1 else f" (in {len(change.pieces)} {unit}s, first {change.pieces[0]})"
    return change.detail + where


def _plot(columns: Sequence[ColumnSummary]) -> Markup | None:
    if not columns or all(one.rows == one.nulls for one in columns):
        return el("p", "no values" if columns else "", class_="empty")
    if columns[-1].kind in ("number", "time"):
        found = shape(columns)
        return histogram(found, columns[-1]) if found else el("p", "no finite numbers", class_="empty")
    return values(columns) or el("p", "values are not looked into", class_="empty")


def _facts(columns: Sequence[ColumnSummary]) -> Markup:
    """List the numbers of one summary, or of two beside each other."""
    rows = [("nulls", [_share(one.nulls, one.rows) for one in columns])]
    kind = columns[-1].kind
    if any(one.nans or one.infinities for one in columns):
        rows.append(("NaN, infinite", [_share(one.nans + one.infinities, one.rows) for one in columns]))
    if kind != "other":
        rows.append(("distinct", [("" if one.distinct_exact else "≈ ") + number(one.distinct) for one in columns]))
    if kind == "number":
        rows.append(("mean", [place(one.mean, one) for one in columns]))
        rows.append(("deviation", [place(one.std, one) for one in columns]))
    if kind in ("number", "time"):
        rows.append(("median", [place(one.quantile(0.5), one) for one in columns]))
        rows.append(
            (
                "5 % to 95 %",
                [f"{place(one.quantile(0.05), one)} to {place(one.quantile(0.95), one)}" for one in columns],
            )
        )
        rows.append(("range", [f"{place(one.minimum, one)} to {place(one.maximum, one)}" for one in columns]))
    if any(one.unseen for one in columns):
        rows.append(("not seen before", [_share(one.unseen or 0, one.rows) for one in columns]))
    cells = [
        el(
            "tr",
            el("th", label, scope="row"),
            [el("td", text) for text in texts],
        )
        for label, texts in rows
    ]
    return el("table", cells, class_="facts")


def _share(part: int, rows: int) -> str:
    return "none" if not part else percent(part / rows) if rows else "–"


def _grid(cards: Sequence[Markup], names: Sequence[str]) -> Markup:
    more = len(cards) - _MOST
    rest = None
    if more > 0:
        rest = el("p", f"and {count(more, 'more column')}: {', '.join(names[_MOST : _MOST + 50])}", class_="rest")
    return el("div", el("div", cards[:_MOST], class_="cards"), rest)


def _fragment(*parts: Markup | None) -> Markup:
    return el("div", el("style", Markup(_sheet())), *parts, class_="headwater-columns")


def _sheet() -> str:
    """Return the style, all of it below one class, so that a notebook's own style is left alone."""
    light, dark = variables("light"), variables("dark")
    scope = ".headwater-columns"
    themes = (
        f"{scope}{{{light}}}@media (prefers-color-scheme:dark){{{scope}{{{dark}}}}}"
        f"[data-jp-theme-light=true] {scope},.vscode-light {scope}{{{light}}}"
        f"[data-jp-theme-light=false] {scope},.vscode-dark {scope}{{{dark}}}"
    )
    return themes + _SPACE.sub("", files(__package__).joinpath("columns.css").read_text("utf-8"))


def _page(title: str, body: Markup) -> str:
    style = "body{margin:0}.headwater-columns{min-height:100vh;padding:36px 40px 60px}"
    page = el("html", head(title, style), el("body", body), lang="en")
    return f"<!doctype html>\n{page}\n"
