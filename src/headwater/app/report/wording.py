"""Numbers, times, names and sentences as a reader wants them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime

from headwater.app.report.data import IncidentStory, Report
from headwater.core.records import Effect, Signoff

DONE = {
    "repair": "repaired and backfilled",
    "rollback_model": "model rolled back",
    "rollback_code": "code rolled back and backfilled",
    "hold": "affected consumers held",
    "retrain": "retrained",
}
PLANNED = {
    "repair": "repair and backfill proposed",
    "rollback_model": "model rollback proposed",
    "rollback_code": "code rollback proposed",
    "hold": "hold proposed",
    "retrain": "retraining proposed",
}


def number(value: float | str | None) -> str:
    """Format a number with about three significant digits and thousands separators; None is a dash."""
    if value is None:
        return "–"
    if isinstance(value, str):
        return value
    if not isinstance(value, int) and not math.isfinite(value):
        return "–" if math.isnan(value) else ("∞" if value > 0 else "−∞")
    size = abs(value)
    if isinstance(value, int) or (value == int(value) and size < 1e15):
        text = f"{int(value):,}"
    elif size >= 100:
        text = f"{value:,.0f}"
    elif size >= 10:
        text = f"{value:.1f}"
    elif size >= 1:
        text = f"{value:.2f}"
    elif size >= 0.001:
        text = f"{value:.3g}"
    else:
        text = f"{value:.1e}"
    return text.replace("-", "−", 1) if text.startswith("-") else text


def rounded(value: float) -> str:
    """Format a number to two significant digits, as in "about 41,000"."""
    if not value or not math.isfinite(value):
        return number(value)
    place = 1 - math.floor(math.log10(abs(value)))
    return number(round(value, place))


def price_note(first: Effect, cost: Effect | None) -> str:
    """Say how sure a price is: its interval, how many outcomes are known, and what was estimated at first."""
    newest = cost or first
    there, moved = newest.known_outcomes, newest.affected_predictions
    parts = [] if newest.low == newest.high else [f"{rounded(newest.low)} to {rounded(newest.high)}"]
    if there is not None and moved:
        parts.append(f"all {moved:,} outcomes known" if there == moved else f"{there:,} of {moved:,} outcomes known")
    if cost is not None:
        parts.append(f"first estimate {rounded(first.value)} ({rounded(first.low)} to {rounded(first.high)})")
    return "; ".join(parts)


def percent(share: float) -> str:
    """Format a share of one as a percentage that never rounds up to certainty."""
    if 0.995 <= share < 1:
        return f"{math.floor(share * 1000) / 10:.1f} %"
    if 0 < share < 0.005:
        return "< 0.5 %"
    return f"{share * 100:.0f} %"


def count(amount: int, noun: str, plural: str = "") -> str:
    """Format a count with its noun, e.g. "1 window", "12 windows"."""
    return f"{amount:,} {noun if amount == 1 else plural or noun + 's'}"


def moment(time: datetime) -> str:
    """Format a zone-aware time to the minute with its zone."""
    return f"{time.day} {time:%b %Y, %H:%M} {time.tzname() or ''}".rstrip()


def short(ref: str) -> str:
    """Return a reference without its kind and namespace: ``dataset:nyc/weather`` is ``weather``."""
    return ref.split(":", 1)[-1].rsplit("/", 1)[-1]


def odd_sentence(odd: Mapping[str, str]) -> str:
    """Say which values of a column are written unlike all others; empty when there are none."""
    if not odd:
        return ""
    named = ", ".join(f"`{value}` (as `{right}`)" for value, right in list(odd.items())[:3])
    more = f" and {len(odd) - 3} more" if len(odd) > 3 else ""
    return f"written unlike all other values: {named}{more}"


def sentence_case(text: str) -> str:
    """Begin with a capital; what follows, names among it, stays as it is."""
    return text[:1].upper() + text[1:]


def elide(text: str, limit: int) -> str:
    """Shorten text in the middle, where long names differ least."""
    if len(text) <= limit:
        return text
    head = (limit - 1) // 2
    return f"{text[:head]}…{text[len(text) - (limit - 1 - head) :]}"


def window_time(key: str) -> datetime | None:
    """Return the time that a window's key names, or None when it is not a date or an hour."""
    for form in ("%Y-%m-%d", "%Y-%m-%dT%H"):
        try:
            return datetime.strptime(key.split("..", 1)[0], form)
        except ValueError:
            continue
    return None


def window_name(key: str, year: bool = False) -> str:
    """Format a window's key for reading: "22 Jul", "22 Jul 05:00", or the key itself."""
    time = window_time(key)
    if time is None:
        return elide(key, 18)
    text = f"{time.day} {time:%b %Y}" if year else f"{time.day} {time:%b}"
    return f"{text} {time:%H}:00" if "T" in key else text


def yaml(value: object, indent: int = 0) -> str:
    """Write plain data as YAML: enough for a contract check, strings quoted where YAML could read them otherwise."""
    pad = "  " * indent
    if isinstance(value, Mapping) and value:
        lines = []
        for key, item in value.items():
            nested = isinstance(item, (Mapping, list, tuple)) and item
            tail = "\n" + yaml(item, indent + (1 if isinstance(item, Mapping) else 0)) if nested else " " + yaml(item)
            lines.append(f"{pad}{_scalar(key)}:{tail}")
        return "\n".join(lines)
    if isinstance(value, (list, tuple)) and value:
        return "\n".join(f"{pad}- {yaml(item, indent + 1).lstrip()}" for item in value)
    return pad + _scalar(value)


def _scalar(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, (Mapping, list, tuple)):
        return "{}" if isinstance(value, Mapping) else "[]"
    text = str(value)
    plain = text and text[0].isalpha() and all(char.isalnum() or char in " _-./%()" for char in text)
    if plain and text.strip() == text and text.lower() not in ("null", "true", "false", "yes", "no", "on", "off"):
        return text
    return "'" + text.replace("'", "''").replace("\n", " ") + "'"


def standing(story: IncidentStory) -> dict[str, Signoff]:
    """Return each side's last word on an incident; an earlier one no longer counts."""
    return {item.side: item for item in sorted(story.signoffs, key=lambda item: item.time)}


def signed_by_both(story: IncidentStory) -> bool:
    """Say whether both sides agree, as they last said, to this very evidence."""
    if story.verdict is None:
        return False
    seal = story.verdict.evidence_hash
    return {"data", "ml"} <= {
        side for side, item in standing(story).items() if item.agrees and item.evidence_hash == seal
    }


def ending(story: IncidentStory) -> str:
    """Say in a few words how far an incident has come."""
    if story.state == "closed":
        return "closed by both sides" if signed_by_both(story) else "closed"
    last = standing(story)
    if any(not item.agrees for item in last.values()):
        return "open: one side disagrees"
    waiting = [side for side in ("data", "ml") if side not in last]
    if story.verdict is None or not waiting:
        return "open"
    return "open, waiting for both signatures" if len(waiting) == 2 else f"open, waiting for the {waiting[0]} side"


def sentence(story: IncidentStory) -> str:
    """Tell an incident in one sentence: what, how much, what was done, how it ended."""
    if story.headline:
        return story.headline
    verdict = story.verdict
    if verdict is None:
        return f"Something is out of its band and not yet explained; {ending(story)}"
    parts = [verdict.text.rstrip(". ") or f"{short(verdict.subject)}: {verdict.fault}"]
    effect = story.cost or verdict.effect
    if effect is not None:
        parts.append(f"{count(effect.affected_predictions, 'prediction')} affected")
        if effect.value:
            parts.append(f"about {rounded(effect.value)} {effect.unit} {effect.metric}".rstrip())
    if verdict.remedy is not None:
        words = (DONE if story.applied else PLANNED).get(verdict.remedy.action)
        parts.extend([words] if words else [])
    parts.append(ending(story))
    return "; ".join(parts)


def headline(report: Report) -> str:
    """Say the whole report in one sentence that a manager understands."""
    stories = report.incidents
    if len(stories) == 1:
        return sentence(stories[0])
    if stories:
        still = sum(story.state != "closed" for story in stories)
        names = [short(story.verdict.subject) if story.verdict else "one not yet explained" for story in stories]
        state = "all closed" if not still else f"{still} still open"
        return f"{count(len(stories), 'incident')}, {state}: {', '.join(names[:-1])} and {names[-1]}"
    tail = f", {count(len(report.cleared), 'harmless change')} cleared by name" if report.cleared else ""
    return f"Nothing to see: quiet, {count(len(report.windows), 'window')}{tail}"
