"""The report's page: valid, self-contained, escaped, complete and honest about what is missing."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

import pytest

from headwater.app.report import AssetRow, Cell, Cleared, Curve, Fact, Mark, Moment, Report, render, write
from headwater.core.errors import StorageError, UsageError
from headwater.core.records import Signoff
from unit.app.report_samples import SAMPLES, many, quiet, repaired, story, three

VOID = {"meta", "br", "hr", "input", "col", "link", "img"}
HOSTILE = (
    "</script><script>alert(1)</script><img src=x onerror=alert(1)>\"' onmouseover='x' \x00\u202egnp.exe\ud800 ]]>-->"
)


class Page(HTMLParser):
    """Reads a page strictly: every element closed in order, ids unique."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.ids: list[str] = []
        self.feed(page)
        self.close()
        assert self.open == [], f"never closed: {self.open}"
        assert len(self.ids) == len(set(self.ids)), "an id occurs twice"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), f"<{tag}> repeats an attribute"
        self.tags.append((tag, dict(attrs)))
        self.ids += [value for name, value in attrs if name == "id" and value]
        if tag not in VOID:
            assert tag != "p" or "p" not in self.open, "a paragraph inside a paragraph"
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-3:]}"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        if not {"script", "style"} & set(self.open):
            self.text.append(data)

    @property
    def words(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.text))


@pytest.mark.parametrize("sample", SAMPLES.values(), ids=SAMPLES.keys())
def test_every_sample_is_well_formed_and_needs_nothing_from_outside(sample: Callable[[], Report]) -> None:
    text = render(sample())
    page = Page(text)
    assert text.startswith("<!doctype html>")
    assert len(text.encode()) < 3_000_000
    for tag, attributes in page.tags:
        assert tag not in {"link", "img", "iframe", "object", "embed", "base", "form", "image", "use", "foreignobject"}
        for name, value in attributes.items():
            assert not name.startswith("on"), f"<{tag} {name}>"
            if name in {"href", "xlink:href", "src", "action", "data", "srcset"}:
                assert value and value.startswith("#"), f"<{tag} {name}={value}>"
    assert "http://" not in text and "https://" not in text and "@import" not in text
    assert all(target.startswith("#") for target in re.findall(r"url\(([^)]*)\)", text))


def test_the_policy_allows_this_script_and_nothing_else() -> None:
    page = Page(render(repaired()))
    policy = next(a["content"] for tag, a in page.tags if tag == "meta" and a.get("http-equiv"))
    assert policy and "default-src 'none'" in policy and "script-src 'sha256-" in policy
    code = [a for tag, a in page.tags if tag == "script" and a.get("type") != "application/json"]
    assert len(code) == 1


def test_the_numbers_are_on_the_page() -> None:
    words = Page(render(repaired())).words
    for number in (
        "3,120",
        "6,915",
        "41,208",
        "33,000 to 48,000",
        "40,115",
        "32,800 to 47,610",
        "97 %",
        "0.041",
        "8,412",
    ):
        assert number in words, number
    for sentence in (
        "The weather feed's hours were 4 h off from 22 July",
        "Replacing the weather alone moves the predictions by 0.041",
        "displacement 0.004 is what was approved at release",
        "headwater why incident:nyc/1 --step 1",
        "rule: 'hour_of_max(temp, time_hour)'",
        "Both sides signed the same evidence.",
        "42 table-windows rewritten",
        "headwater audit verify",
    ):
        assert sentence in words, sentence


def test_a_cost_that_was_priced_again_shows_how_much_of_it_is_known_and_the_first_estimate() -> None:
    told = story()
    assert told.verdict is not None and told.verdict.effect is not None
    first = told.verdict.effect
    cost = replace(first, value=37912, low=37912, high=37912, known_outcomes=3120)
    page = Page(render(replace(repaired(), incidents=(replace(told, cost=cost),))))
    assert "38,000" in page.words
    assert "all 3,120 outcomes known; first estimate 41,000 (34,000 to 49,000)" in page.words
    some = replace(cost, low=30000, high=45000, known_outcomes=2000)
    page = Page(render(replace(repaired(), incidents=(replace(told, cost=some, headline=""),))))
    assert "30,000 to 45,000; 2,000 of 3,120 outcomes known; first estimate" in page.words
    assert "about 38,000 seat-minutes" in page.words


def test_both_signature_cards_name_the_hash_that_was_signed() -> None:
    told = story()
    assert told.verdict is not None
    text = render(repaired())
    assert text.count(told.verdict.evidence_hash) >= 3
    assert "Ana Ruiz" in text and "Jonas Weber" in text


def test_a_signature_under_other_evidence_does_not_count() -> None:
    told = story()
    data, ml = told.signoffs
    report = replace(repaired(), incidents=(replace(told, signoffs=(data, replace(ml, evidence_hash="f" * 64))),))
    words = Page(render(report)).words
    assert "other evidence" in words
    assert "Not closed without both signatures." in words
    assert "Both sides signed" not in words


def test_a_withdrawn_signature_does_not_count_either() -> None:
    told = story()
    last = replace(told.signoffs[1], agrees=False, reason="I looked again")
    page = Page(render(replace(repaired(), incidents=(replace(told, state="open", signoffs=(*told.signoffs, last)),))))
    assert "Not closed without both signatures." in page.words


def test_a_quiet_month_says_so() -> None:
    words = Page(render(quiet())).words
    assert "Nothing to see: quiet, 60 windows, 4 harmless changes cleared by name." in words
    assert "route_days" in words
    assert "headwater is" not in words


def test_several_incidents_are_told_apart() -> None:
    page = Page(render(three()))
    assert {"incident-1", "incident-2", "incident-3"} <= set(page.ids)
    assert "3 incidents, 2 still open: weather_raw, carrier_history and one not yet explained." in page.words
    assert "Triage has not judged this incident yet." in page.words
    assert "disagrees" in page.words


def test_a_verdict_without_a_culprit_blames_nobody() -> None:
    told = story()
    assert told.verdict is not None
    world = replace(told.verdict, status="world", text="A heat wave; no asset failed", next_test="three more windows")
    page = Page(render(replace(repaired(), incidents=(replace(told, headline="", verdict=world, lineage=None),))))
    assert "The world changed, no asset failed" in page.words
    assert "three more windows" in page.words
    assert not any("culprit" in (a.get("class") or "").split() for tag, a in page.tags if tag == "g")


def hostile(text: str = HOSTILE) -> Report:
    """The repaired sample with outside text replaced wherever text comes from outside."""
    told = story()
    verdict = told.verdict
    assert (
        verdict is not None and verdict.remedy is not None and verdict.effect is not None and told.lineage is not None
    )
    # A stored record cannot hold a lone surrogate; other texts can.
    anything, text = text, text.replace("\ud800", "")
    row = AssetRow(ref=f"dataset:x/{text}", layer=text, side=text, owner=text)
    evil = replace(
        verdict,
        subject=row.ref,
        fault=text,
        side=text,
        owner=text,
        text=text,
        next_test=text,
        incident=text,
        suspects=tuple(
            replace(item, subject=row.ref, fault=text, side=text, owner=text, reason=text, numbers={text: 1.0})
            for item in verdict.suspects
        ),
        chain=tuple(
            replace(
                item, subject=row.ref, side=side, owner=text, test=text, text=text, command=text, versions={text: text}
            )
            for item, side in zip(verdict.chain, ("data", "ml", text, "data", "ml", text), strict=True)
        ),
        effect=replace(verdict.effect, metric=text, unit=text),
        remedy=replace(
            verdict.remedy, target=row.ref, parameters={text: [text, {text: text}]}, touches=(text,), text=text
        ),
        prevention={text: [{text: text}, text]},
    )
    curve = Curve(
        title=text,
        unit=text,
        windows=(text,),
        value=(1.0,),
        value_label=text,
        note=text,
        reference=(1.0,),
        reference_label=text,
        marks=(Mark(window=text, kind=text, label=text, subject=text),),
    )
    window = verdict.start_window
    bad = replace(
        told,
        cost=evil.effect,
        incident=text,
        state=text,
        headline=text,
        verdict=evil,
        curves=(curve,),
        facts=(Fact(label=text, value=text),),
        lineage=replace(told.lineage, nodes=(row, *told.lineage.nodes), path=(row.ref, *told.lineage.path[1:])),
        signoffs=tuple(
            Signoff(
                incident=text,
                side=side,
                by=text,
                evidence_hash=text,
                agrees=True,
                reason=text,
                prevention_owner=text,
                time=datetime(2024, 1, 1, tzinfo=UTC),
            )
            for side in ("data", "ml")
        ),  # type: ignore[arg-type]
        timeline=(Moment(time=datetime(2024, 1, 1, tzinfo=UTC), state=text, by=text, note=text),),
        dry_run=tuple(replace(item, ref=text, note=text) for item in told.dry_run),
        verification=tuple(replace(item, label=text, unit=text, note=text) for item in told.verification),
    )
    text = anything
    fact = Fact(label=text, value=text, unit=text, note=text, command=text)
    return Report(
        project=text,
        title=text,
        generated=datetime(2024, 1, 1, tzinfo=UTC),
        windows=(text, window),
        assets=(row,),
        cells={
            (row.ref, text): Cell(strength=3, state="alarm", text=text),
            (row.ref, window): Cell(strength=3, state="alarm"),
        },
        edges=((row.ref, row.ref), (text, row.ref)),
        marks=tuple(Mark(window=key, kind=text, label=text, subject=text) for key in (text, window)),
        incidents=(bad, replace(bad, verdict=None)),
        curves=(curve,),
        facts=(fact,),
        audit=(fact,),
        cleared=(Cleared(subject=text, window=text, change=text, reason=text, side=text, command=text),),
    )


def test_hostile_text_stays_text() -> None:
    text = render(hostile())
    page = Page(text)
    scripts = [a for tag, a in page.tags if tag == "script"]
    expected = Page(render(replace(hostile("name"), curves=hostile("name").curves))).tags
    assert len(scripts) == len([tag for tag, _ in expected if tag == "script"])
    assert not any(tag == "img" for tag, _ in page.tags)
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)
    assert sorted({tag for tag, _ in page.tags}) == sorted({tag for tag, _ in expected})
    assert "\x00" not in text and "\u202e" not in text
    text.encode("utf-8")


def test_hostile_text_cannot_leave_the_data_blocks() -> None:
    blocks = re.findall(r'<script type="application/json"[^>]*>(.*?)</script>', render(hostile()), re.S)
    assert blocks
    for block in blocks:
        assert "<" not in block and ">" not in block
        json.loads(block)
    assert any("alert(1)" in json.dumps(json.loads(block)) for block in blocks)


def test_odd_numbers_do_not_break_the_drawing() -> None:
    odd = (float("nan"), float("inf"), -float("inf"), None, 1e308, 0.0, -1.5, 3.0)
    keys = tuple(f"2024-01-0{index}" for index in range(1, 9))
    curve = Curve(title="odd", unit="", windows=keys, value=odd, low=odd, high=odd, reference=odd, estimated=odd[:2])
    row = AssetRow(ref="dataset:x/a")
    cells = {
        (row.ref, key): Cell(strength=strength)
        for key, strength in zip(keys, (float("nan"), float("inf"), -1.0, 1e300, 0.0, 1.0, 2.0, 0.5), strict=True)
    }
    text = render(replace(quiet(), windows=keys, assets=(row,), cells=cells, curves=(curve,)))
    Page(text)
    assert "nan" not in re.sub(r"<script.*?</script>|<style.*?</style>", "", text, flags=re.S).lower().replace(
        "finan", ""
    )


@pytest.mark.parametrize(
    "curve",
    [
        Curve(title="none", unit="", windows=(), value=()),
        Curve(title="flat", unit="", windows=("a", "b"), value=(2.0, 2.0)),
        Curve(title="one", unit="", windows=("a",), value=(0.0,)),
        Curve(
            title="gaps",
            unit="",
            windows=("a", "b", "c"),
            value=(None, 1.0, None),
            low=(None, 0.5, None),
            high=(None, 2.0, None),
        ),
        Curve(title="short", unit="", windows=("a", "b", "c"), value=(1.0,)),
        Curve(title="nothing known", unit="", windows=("a",), value=(None,)),
    ],
    ids=lambda curve: curve.title,
)
def test_thin_curves_are_drawn_or_said_to_be_empty(curve: Curve) -> None:
    page = Page(render(replace(quiet(), curves=(curve,))))
    assert curve.title in page.words


def test_a_report_without_anything_is_still_a_page() -> None:
    empty = Report(project="p", title="t", generated=datetime(2024, 1, 1, tzinfo=UTC), windows=(), assets=())
    assert "No windows have been delivered yet." in Page(render(empty)).words


def test_the_same_report_gives_the_same_bytes() -> None:
    assert render(repaired()) == render(repaired())


def test_a_time_without_zone_is_refused() -> None:
    with pytest.raises(UsageError, match="no zone"):
        render(replace(quiet(), generated=datetime(2024, 1, 1)))


def test_large_lines_show_the_loud_rows_first_and_all_below() -> None:
    text = render(many(500, 30))
    words = Page(text).words
    assert "All 500 assets" in words and "more, folded" in words
    assert "asset_055" in words and "asset_321" in words


def test_write_replaces_the_old_report_whole(tmp_path: Path) -> None:
    path = tmp_path / "new" / "report.html"
    assert write(quiet(), path) == path
    first = path.read_text("utf-8")
    write(repaired(), path)
    assert path.read_text("utf-8") == render(repaired()) != first
    assert [item.name for item in path.parent.iterdir()] == ["report.html"]


def test_a_report_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    target = tmp_path / "report.html"
    target.mkdir()
    (target / "kept").write_text("old")
    with pytest.raises(StorageError, match="cannot be written"):
        write(quiet(), target)
    assert (target / "kept").read_text() == "old"
    assert [item.name for item in tmp_path.iterdir()] == ["report.html"]
