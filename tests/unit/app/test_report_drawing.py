"""The drawing's parts: scale, labels, layers, words."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from headwater.app.report import AssetRow, Cell, Curve, Lineage, Mark, colour, curves, lineage, marks, river, wording
from headwater.app.report.seal import seal
from unit.app.report_samples import PATH, many, quiet, ref, repaired, story


def oklab(colour_: str) -> tuple[float, float, float]:
    """Ottosson's forward transform, so that the scale is checked against the hex codes that reach the page."""
    channels = [int(colour_[index : index + 2], 16) / 255 for index in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in channels)
    long = (0.4122214708 * red + 0.5363325363 * green + 0.0514459929 * blue) ** (1 / 3)
    medium = (0.2119034982 * red + 0.6806995451 * green + 0.1073969566 * blue) ** (1 / 3)
    small = (0.0883024619 * red + 0.2817188376 * green + 0.6299787005 * blue) ** (1 / 3)
    return (
        0.2104542553 * long + 0.7936177850 * medium - 0.0040720468 * small,
        1.9779984951 * long - 2.4285922050 * medium + 0.4505937099 * small,
        0.0259040371 * long + 0.7827717662 * medium - 0.8086757660 * small,
    )


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_equal_steps_look_equal(theme: str) -> None:
    scale = colour.river_scale(theme)
    for part in (scale[: colour.QUIET_STEPS], scale[colour.QUIET_STEPS :]):
        steps = [math.dist(oklab(a), oklab(b)) for a, b in pairwise(part)]
        assert max(steps) / min(steps) < 1.25


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_quiet_is_nearly_the_background_and_alarm_is_not(theme: str) -> None:
    surface = colour.THEMES[theme]["surface"]
    scale = colour.river_scale(theme)
    assert colour.contrast(scale[0], surface) < 1.4
    assert all(colour.contrast(tone, surface) > 2.2 for tone in scale[colour.QUIET_STEPS :])


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(
    ("inks", "ground"),
    [
        (("ink", "soft", "faint", "water", "alarm"), "surface"),
        (("ink", "soft", "faint", "water"), "bg"),
        (("ink", "soft", "faint"), "sunk"),
        (("ink", "soft", "alarm"), "alarm-soft"),
        (("ink", "soft"), "water-soft"),
        (("surface",), "alarm"),
        (("surface",), "water"),
    ],
)
def test_text_has_contrast(theme: str, inks: tuple[str, ...], ground: str) -> None:
    tones = colour.THEMES[theme]
    for ink in inks:
        assert colour.contrast(tones[ink], tones[ground]) >= 4.5, (ink, ground)


def test_only_an_alarm_is_warm() -> None:
    assert colour.level(9.0, alarm=False) == colour.QUIET_STEPS - 1
    assert colour.level(0.3, alarm=True) == colour.QUIET_STEPS
    assert colour.level(float("nan"), alarm=False) == 0
    levels = [colour.level(step / 10, alarm=False) for step in range(12)]
    assert levels == sorted(levels) and levels[4] == 0 and levels[10] == colour.QUIET_STEPS - 1


def test_labels_never_overlap_and_the_incident_has_its_own() -> None:
    spans = marks.merge(
        [
            Mark(window=str(index), kind=kind, label=f"{kind} of something long {index}")
            for index in range(0, 40, 2)
            for kind in ("deploy", "release", "incident")
        ],
        [str(index) for index in range(40)],
    )
    placed = marks.place_labels(spans, 40)
    assert len(placed) == len(spans)
    boxes: dict[int, list[tuple[float, float]]] = {}
    for label in placed:
        if label.text:
            x = marks.NARROW * label.span.first / 40
            extent = marks.CHARACTER * len(label.text) + 10
            boxes.setdefault(label.lane, []).append((x - extent, x) if label.before else (x, x + extent))
    for lane in boxes.values():
        lane.sort()
        assert all(a[1] <= b[0] for a, b in pairwise(lane))
    assert next(label for label in placed if label.span.kind == "incident").text
    assert any(not label.text for label in placed), "this many labels cannot all fit"


def test_a_storm_of_several_windows_is_one_band_and_a_gap_starts_another() -> None:
    keys = [str(index) for index in range(9)]
    found = marks.merge([Mark(window=str(index), kind="storm", label="s") for index in (1, 2, 3, 6)], keys)
    assert [(span.first, span.last) for span in found] == [(1, 3), (6, 6)]
    assert marks.merge([Mark(window="elsewhere", kind="storm", label="s")], keys) == []


def test_the_fault_starts_where_the_verdict_says_even_without_a_mark() -> None:
    report = replace(repaired(), marks=())
    (span,) = marks.spans(report)
    assert (span.kind, report.windows[span.first], span.label) == ("incident", "2013-07-22", "weather_raw")


def test_lineage_places_the_path_in_one_row_from_left_to_right() -> None:
    told = story()
    assert told.lineage is not None
    place = lineage.arrange(told.lineage)
    path = [place[ref(name)] for name in PATH]
    assert {spot.row for spot in path} == {0}
    assert [spot.layer for spot in path] == sorted({spot.layer for spot in path})
    assert all(place[a].layer < place[b].layer for a, b in told.lineage.edges)
    assert len({(spot.layer, spot.row) for spot in place.values()}) == len(place)


def test_a_circle_in_the_edges_does_not_hang() -> None:
    nodes = tuple(AssetRow(ref=name) for name in "abc")
    graph = Lineage(nodes=nodes, edges=(("a", "b"), ("b", "c"), ("c", "a"), ("b", "b")), path=("a", "c"))
    assert set(lineage.arrange(graph)) == {"a", "b", "c"}


def test_a_large_graph_keeps_its_path_and_says_how_much_is_left_out() -> None:
    told = many(500, 3).incidents[0]
    assert told.lineage is not None
    kept, left = lineage.trimmed(told.lineage, set())
    assert {node.ref for node in kept.nodes} >= set(told.lineage.path)
    assert left == 500 - len(kept.nodes)


def test_folding_a_row_keeps_its_loudest_cell() -> None:
    calm, loud = Cell(strength=0.9), Cell(strength=1.2, state="alarm")
    assert river.fold([(calm, calm), (Cell(), loud)]) == (calm, loud)


def test_the_map_is_summed_up_in_words() -> None:
    assert river.summary(quiet()) == "19 assets over 60 windows; no window in alarm"
    assert river.summary(repaired()).endswith("the headwater is weather_raw")


def test_points_out_of_the_expected_band_are_marked() -> None:
    curve = Curve(
        title="t",
        unit="",
        windows=("a", "b", "c"),
        value=(1.0, 5.0, None),
        low=(0.0,) * 3,
        high=(2.0,) * 3,
        band_of="reference",
    )
    assert not curves.outside(curve, 0, 1.0) and curves.outside(curve, 1, 5.0)
    assert not curves.outside(replace(curve, band_of="value"), 1, 5.0)
    assert str(curves.curve(curve)).count('class="out"') == 1


def test_gaps_stay_gaps() -> None:
    assert curves.trace((1.0, None, 2.0, 3.0), str) == "M0.5 1.0h.3M2.5 2.0L3.5 3.0"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (41208, "41,208"),
        (-4, "−4"),
        (0.04123, "0.0412"),
        (12345.6, "12,346"),
        (float("nan"), "–"),
        ("9f", "9f"),
        (0.00001, "1.0e-05"),
        (0.0, "0"),
    ],
)
def test_numbers_read_well(value: float | str | None, text: str) -> None:
    assert wording.number(value) == text


def test_confidence_never_rounds_up_to_certainty() -> None:
    assert wording.percent(0.9996) == "99.9 %"
    assert wording.percent(1.0) == "100 %"
    assert wording.percent(0.001) == "< 0.5 %"


def test_yaml_reads_back_as_it_was() -> None:
    yaml = pytest.importorskip("yaml")
    data = {
        "check": {
            "column": "temp",
            "between": [1, 2.5],
            "when": "2013-07-22",
            "expr": "a: b # c",
            "none": None,
            "on": True,
        },
        "list": [{"a": "yes", "b": ["it's", "x y", ""]}, "plain", [], {}, "-1", "multi\nline"],
        "no": "1.3.0",
    }
    read = yaml.safe_load(wording.yaml(data))
    data["list"][-1] = "multi line"  # type: ignore[index]
    assert read == data


def test_the_headline_is_composed_from_the_verdict() -> None:
    told = replace(story(), headline="")
    assert wording.sentence(told) == (
        "The weather feed's hours were 4 h off from 22 July; 3,120 predictions affected; about 41,000 seat-minutes of "
        "delay not announced; repaired and backfilled; closed by both sides"
    )
    waiting = replace(told, state="verified", applied=False, signoffs=told.signoffs[:1])
    assert wording.sentence(waiting).endswith("repair and backfill proposed; open, waiting for the ml side")


def test_equal_evidence_has_an_equal_seal_and_other_evidence_another() -> None:
    assert seal("a" * 64) == seal("a" * 64) != seal("b" * 64)


@pytest.mark.parametrize("hourly", [False, True])
@pytest.mark.parametrize("size", [1, 2, 8, 9, 50, 57, 58, 64, 71, 97, 113, 217, 365])
def test_no_window_label_is_cut_off_or_touches_another(size: int, hourly: bool) -> None:
    """Drawn as narrow as the map may be; a wider one leaves more room."""
    begin = datetime(2013, 7, 1, tzinfo=UTC)
    step, form = (timedelta(hours=1), "%Y-%m-%dT%H") if hourly else (timedelta(days=1), "%Y-%m-%d")
    drawn = str(marks.ticks([(begin + index * step).strftime(form) for index in range(size)]))
    end = -8.0
    found = re.findall(r'<text x="([\d.]+)%"[^>]*text-anchor="(\w+)"[^>]*>([^<]*)<', drawn)
    assert len(found) >= min(size, 2)
    for place, anchor, text in found:
        width, x = marks.CHARACTER * len(text), marks.NARROW * float(place) / 100
        start = x - width * {"start": 0, "middle": 0.5, "end": 1}[anchor]
        assert end + 8 <= start + 0.01
        end = start + width
        assert end <= marks.NARROW + 0.01
