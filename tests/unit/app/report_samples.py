"""Reports with plausible numbers, to draw and to look at: a repaired fault, a quiet month, several incidents, much."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

from headwater.app.report import (
    AssetRow,
    Cell,
    Check,
    Cleared,
    Curve,
    Fact,
    IncidentStory,
    Lineage,
    Mark,
    Moment,
    Report,
    Touch,
)
from headwater.core.records import Effect, Remedy, Signoff, Step, Suspect, Verdict

DAYS = tuple(str(date(2013, 7, 1) + timedelta(days=index)) for index in range(60))
START, REMEDY = 21, 28
NOW = datetime(2013, 8, 30, 6, 5, tzinfo=UTC)

# name: layer, side, owner, parents
NYC: dict[str, tuple[str, str, str, tuple[str, ...]]] = {
    "flights_raw": ("raw", "data", "feeds", ()),
    "weather_raw": ("raw", "data", "feeds", ()),
    "planes_raw": ("raw", "data", "feeds", ()),
    "airports_raw": ("raw", "data", "feeds", ()),
    "airlines_raw": ("raw", "data", "feeds", ()),
    "flights": ("staged", "data", "warehouse", ("flights_raw",)),
    "weather": ("staged", "data", "warehouse", ("weather_raw",)),
    "planes": ("staged", "data", "warehouse", ("planes_raw",)),
    "airports": ("staged", "data", "warehouse", ("airports_raw",)),
    "airlines": ("staged", "data", "warehouse", ("airlines_raw",)),
    "flight_weather": ("modeled", "data", "warehouse", ("flights", "weather")),
    "flight_planes": ("modeled", "data", "warehouse", ("flights", "planes", "airlines")),
    "route_days": ("modeled", "data", "warehouse", ("flights", "airports")),
    "carrier_history": ("feature", "ml", "delay model", ("flights", "delay_label")),
    "route_history": ("feature", "ml", "delay model", ("route_days", "delay_label")),
    "delay_features": (
        "feature",
        "ml",
        "delay model",
        ("flight_weather", "flight_planes", "carrier_history", "route_history"),
    ),
    "delay_predictions": ("prediction", "ml", "delay model", ("delay_features",)),
    "delay_label": ("label", "ml", "delay model", ("flights",)),
    "announced_delay": ("label", "data", "revenue", ("delay_predictions", "delay_label", "flight_planes")),
}
PATH = ("weather_raw", "weather", "flight_weather", "delay_features", "delay_predictions", "announced_delay")
LIMITS = {"weather_raw": 6.4, "weather": 3.1, "flight_weather": 2.4, "delay_features": 1.6, "delay_predictions": 1.15}


def ref(name: str) -> str:
    return f"dataset:nyc/{name}"


def rows() -> tuple[AssetRow, ...]:
    return tuple(AssetRow(ref=ref(name), layer=it[0], side=it[1], owner=it[2]) for name, it in NYC.items())


def nyc_edges() -> tuple[tuple[str, str], ...]:
    return tuple((ref(parent), ref(child)) for child, it in NYC.items() for parent in it[3])


def quiet_cells(seed: int = 7) -> dict[tuple[str, str], Cell]:
    rng = random.Random(seed)
    cells = {}
    for name, (layer, *_rest) in NYC.items():
        for day in DAYS:
            strength = min(rng.betavariate(1.4, 7), 0.8)
            if layer == "raw" and name not in ("flights_raw", "weather_raw"):
                strength *= 0.3
            state = "notice" if strength > 0.6 else "ok"
            cells[ref(name), day] = Cell(
                strength=strength, state=state, text=f"largest of 41 metrics at {strength:.2f}"
            )
    for index in (7, 8):
        for name in ("weather_raw", "weather", "flight_weather", "flights_raw"):
            cells[ref(name), DAYS[index]] = Cell(
                strength=0.85, state="notice", text="precipitation 0.84 × the limit: a storm, known metrics only"
            )
    return cells


def fault_cells() -> dict[tuple[str, str], Cell]:
    rng = random.Random(3)
    cells = quiet_cells()
    texts = {
        "weather_raw": "hour of the temperature maximum at 19.2, band 14.1 to 15.9: {:.1f} × the limit",
        "weather": "temp by hour of day {:.1f} × the limit; recomputed 0 of 2,140 cells differ",
        "flight_weather": "share of rows with visib < 2: {:.1f} × the limit; recomputed 0 of 58,320 cells differ",
        "delay_features": "temp, wind_speed, visib {:.1f} × the limit; recomputed 0 cells differ",
        "delay_predictions": "mean p 0.262, band 0.196 to 0.247: {:.1f} × the limit",
    }
    for index in range(START, REMEDY):
        for name, level in LIMITS.items():
            strength = level * rng.uniform(0.86, 1.12)
            state = "backfilled" if index < REMEDY else "alarm"
            if strength < 1:
                state = "notice"
            cells[ref(name), DAYS[index]] = Cell(strength=strength, state=state, text=texts[name].format(strength))
        cells[ref("announced_delay"), DAYS[index]] = Cell(
            strength=rng.uniform(0.7, 1.3), state="notice", text="seat-minutes not announced above what was expected"
        )
    cells[ref("planes_raw"), DAYS[40]] = Cell(strength=0, state="missing", text="not delivered by its deadline")
    return cells


MARKS = (
    Mark(window=DAYS[4], kind="deploy", label="flights: refactor", subject=ref("flights")),
    Mark(window=DAYS[7], kind="storm", label="storm", subject="weather"),
    Mark(window=DAYS[8], kind="storm", label="storm", subject="weather"),
    Mark(window=DAYS[17], kind="release", label="delay@8, re-seeded", subject="model:nyc/delay@8"),
    Mark(window=DAYS[20], kind="deploy", label="route_days: rounding", subject=ref("route_days")),
    Mark(window=DAYS[START], kind="incident", label="weather hours 4 h off", subject=ref("weather_raw")),
    Mark(window=DAYS[REMEDY], kind="remedy", label="repaired, backfilled", subject=ref("weather_raw")),
    Mark(window=DAYS[44], kind="storm", label="storm", subject="weather"),
    Mark(window=DAYS[49], kind="deploy", label="flight_planes: refactor", subject=ref("flight_planes")),
)


def suspects() -> tuple[Suspect, ...]:
    return (
        Suspect(
            subject=ref("weather_raw"),
            fault="time offset",
            side="data",
            owner="feeds",
            probability=0.971,
            exonerated=False,
            reason="shifting time_hour by −4 h brings exceedance from 6.4 back to 0.3",
            numbers={"exceedance": 6.4, "after repair": 0.3, "impact": 0.041},
        ),
        Suspect(
            subject=ref("route_days"),
            fault="code change",
            side="data",
            owner="warehouse",
            probability=0.011,
            exonerated=True,
            reason="old code on the same parents: 0 of 12,480 cells differ",
            numbers={"cells differing": 0, "impact": 0},
        ),
        Suspect(
            subject="model:nyc/delay@8",
            fault="model release",
            side="ml",
            owner="delay model",
            probability=0.009,
            exonerated=True,
            reason="displacement 0.004 is what was approved at release",
            numbers={"displacement": 0.0041, "approved": 0.0043},
        ),
        Suspect(
            subject=ref("flight_weather"),
            fault="transformation",
            side="data",
            owner="warehouse",
            probability=0.004,
            exonerated=True,
            reason="recomputed from its parents: 0 of 58,320 cells differ",
            numbers={"cells differing": 0},
        ),
        Suspect(
            subject=ref("delay_features"),
            fault="skew",
            side="ml",
            owner="delay model",
            probability=0.003,
            exonerated=True,
            reason="served features equal recomputed ones in 19 of 19 columns",
            numbers={},
        ),
    )


def chain() -> tuple[Step, ...]:
    def step(name: str, test: str, value: float, text: str, command: str, versions: dict[str, str]) -> Step:
        _layer, side, owner, _parents = NYC[name]
        return Step(
            subject=ref(name),
            side=side,
            owner=owner,
            test=test,
            value=value,
            text=text,
            command=command,
            versions=versions,
        )

    return (
        step(
            "weather_raw",
            "exceedance",
            6.4,
            "The warmest hour moved from 15:00 to 19:00 local time on all three airports; one shift of −4 h undoes it.",
            "headwater why incident:nyc/1 --step 1",
            {"version": "203", "content": "9f2c61d0"},
        ),
        step(
            "weather",
            "cells differing",
            0,
            "The cleaning code of the last accepted window gives the same table: cleared.",
            "headwater trace dataset:nyc/weather --window 2013-07-22",
            {"code": "5be1", "version": "203"},
        ),
        step(
            "flight_weather",
            "cells differing",
            0,
            "The join is unchanged; its input is not. 1,003 of 1,008 flights matched.",
            "headwater trace dataset:nyc/flight_weather --window 2013-07-22",
            {"code": "a41c"},
        ),
        step(
            "delay_features",
            "features displaced",
            5,
            "Five of nineteen features moved: temp, dewp, wind_speed, precip, visib.",
            "headwater why incident:nyc/1 --step 4",
            {"view": "delay@3"},
        ),
        step(
            "delay_predictions",
            "mean |Δp|",
            0.041,
            "Replacing the weather alone moves the predictions by 0.041; replacing anything else moves none.",
            "headwater why incident:nyc/1 --step 5",
            {"model": "delay@8"},
        ),
        step(
            "announced_delay",
            "seat-minutes",
            41208,
            "Delay that was not announced, above what the repaired inputs give.",
            "headwater why incident:nyc/1 --effect",
            {},
        ),
    )


def verdict() -> Verdict:
    windows = DAYS[START:REMEDY]
    return Verdict(
        incident="incident:nyc/1",
        status="named",
        subject=ref("weather_raw"),
        fault="time offset",
        side="data",
        owner="feeds",
        confidence=0.971,
        text="The weather feed's hours were 4 h off from 22 July",
        start_window=DAYS[START],
        window=DAYS[START],
        suspects=suspects(),
        chain=chain(),
        effect=Effect(
            metric="of delay not announced",
            unit="seat-minutes",
            value=41208,
            low=33950,
            high=48770,
            affected_predictions=3120,
            scored_predictions=6915,
            windows=windows,
        ),
        remedy=Remedy(
            action="repair",
            target=ref("weather_raw"),
            parameters={"operator": "time offset", "hours": -4},
            windows=windows,
            touches=tuple(ref(name) for name in PATH),
            gain=40115,
            gain_low=32800,
            gain_high=47610,
            reversible=True,
            automatic=True,
            text="Shift time_hour by −4 h at the landing and backfill downstream.",
        ),
        prevention={
            "contract": "weather_raw",
            "version": "1.3.0",
            "owner": "feeds",
            "quality": [
                {
                    "name": "warmest hour of the day",
                    "type": "custom",
                    "engine": "headwater",
                    "rule": "hour_of_max(temp, time_hour)",
                    "mustBeBetween": [12.5, 17.5],
                    "severity": "error",
                    "schedule": "on write",
                }
            ],
            "would have fired": DAYS[START],
        },
        next_test="",
        time=datetime(2013, 7, 23, 6, 2, tzinfo=UTC),
    )


def signoffs(judged: Verdict) -> tuple[Signoff, ...]:
    def sign(side: str, by: str, reason: str, hour: int) -> Signoff:
        return Signoff(
            incident=judged.incident,
            side=side,
            by=by,
            evidence_hash=judged.evidence_hash,
            agrees=True,  # type: ignore[arg-type]
            reason=reason,
            prevention_owner="feeds",
            time=datetime(2013, 7, 30, hour, 12, tzinfo=UTC),
        )

    return (
        sign("data", "Ana Ruiz", "The provider confirmed the zone change of 22 July.", 8),
        sign("ml", "Jonas Weber", "Replayed on the repaired week: the predictions are back.", 9),
    )


def timeline() -> tuple[Moment, ...]:
    def at(day: int, hour: int, state: str, by: str, note: str) -> Moment:
        return Moment(time=datetime(2013, 7, day, hour, 2, tzinfo=UTC), state=state, by=by, note=note)

    return (
        at(23, 6, "opened", "headwater", "17 findings on 5 assets, one incident"),
        at(23, 6, "judged", "headwater", "weather_raw, time offset, 97.1 %"),
        at(28, 7, "planned", "headwater", "dry run: 6 tables, 7 windows"),
        at(29, 7, "repaired", "headwater", "42 table-windows rewritten, nothing else touched"),
        at(30, 7, "verified", "headwater", "4 of 4 checks on fresh data"),
        at(30, 9, "closed", "Ana Ruiz, Jonas Weber", "both sides signed the same evidence"),
    )


def wave(index: int, seed: float = 0.0) -> float:
    rough = random.Random(index * 101 + int(seed * 7)).gauss(0, 0.45)
    return 0.7 * math.sin(index * math.tau / 7 + seed) + rough


def metric_curves() -> tuple[Curve, ...]:
    size = range(len(DAYS))
    bad = [1.0 if START <= index < REMEDY else 0.0 for index in size]
    marks = tuple(mark for mark in MARKS if mark.kind in ("incident", "remedy", "release"))
    expected = [0.452 + 0.012 * wave(index, 1) for index in size]
    loss = [expected[index] + 0.008 * wave(index, 4) + 0.057 * bad[index] for index in size]
    minutes = [31000 + 4200 * wave(index, 2) + 5900 * bad[index] for index in size]
    mean = [0.221 + 0.012 * wave(index, 3) + 0.034 * bad[index] for index in size]
    moved = [0.0004 + 0.0002 * abs(wave(index, 5)) + 0.041 * bad[index] for index in size]
    moved[17] = 0.0041
    hour = [15.0 + 0.45 * wave(index, 6) + 4.1 * bad[index] for index in size]
    return (
        Curve(
            title="Hour of the day's warmest reading, weather_raw",
            unit="h",
            windows=DAYS,
            value=tuple(hour),
            low=(14.1,) * 60,
            high=(15.9,) * 60,
            band_of="reference",
            marks=marks,
            note="The key metric at the culprit.",
        ),
        Curve(
            title="Log loss, realised against expected",
            unit="",
            windows=DAYS,
            value=(*loss[:58], None, None),
            value_label="realised",
            reference=tuple(expected),
            low=tuple(x - 0.021 for x in expected),
            high=tuple(x + 0.021 for x in expected),
            band_of="reference",
            marks=marks,
            note="Labels of the last two days have not arrived.",
        ),
        Curve(
            title="Delay not announced",
            unit="seat-minutes",
            windows=DAYS,
            value=tuple(minutes),
            low=tuple(x - 2600 for x in minutes),
            high=tuple(x + 2600 for x in minutes),
            marks=marks,
        ),
        Curve(
            title="Predictions displaced against the accepted line",
            unit="mean |Δp|",
            windows=DAYS,
            value=tuple(moved),
            marks=marks,
            reference=(0.0043,) * 60,
            reference_label="approved at release",
        ),
        Curve(
            title="Mean predicted probability of delay",
            unit="",
            windows=DAYS,
            value=tuple(mean),
            low=(0.196,) * 60,
            high=(0.247,) * 60,
            band_of="reference",
            marks=marks,
            estimated=tuple(x + 0.004 * wave(i, 8) for i, x in enumerate(mean)),
            estimated_label="recomputed",
        ),
    )


def story() -> IncidentStory:
    judged = verdict()
    shown = {name for name in PATH} | {"route_days", "flights", "route_history", "flights_raw"}
    nodes = tuple(row for row in rows() if row.ref.rsplit("/", 1)[1] in shown)
    model = AssetRow(ref="model:nyc/delay@8", layer="model", side="ml", owner="delay model")
    inside = {node.ref for node in nodes}
    edges = tuple(pair for pair in nyc_edges() if set(pair) <= inside)
    return IncidentStory(
        incident="incident:nyc/1",
        state="closed",
        verdict=judged,
        detected_window=DAYS[START],
        applied=True,
        headline="The weather feed's hours were 4 h off from 22 July; 3,120 predictions affected, about 41,000 "
        "seat-minutes of delay not announced; repaired and backfilled, closed by both sides",
        lineage=Lineage(
            nodes=(*nodes, model),
            edges=(*edges, (model.ref, ref("delay_predictions"))),
            path=tuple(ref(name) for name in PATH),
        ),
        curves=metric_curves()[:4],
        dry_run=tuple(
            Touch(ref=ref(name), windows=7, rows=count)
            for name, count in zip(PATH, (504, 504, 6915, 6915, 6915, 6915), strict=True)
        ),
        verification=(
            Check(
                label="Warmest hour of the day",
                passed=True,
                before=19.2,
                after=15.1,
                unit="h",
                note="band 14.1 to 15.9",
            ),
            Check(label="Log loss", passed=True, before=0.509, after=0.453, note="expected 0.431 to 0.473"),
            Check(label="Seat-minutes not announced", passed=True, before=36900, after=31050, note="per day"),
            Check(
                label="Recomputed downstream",
                passed=True,
                before=None,
                after=0,
                unit="cells differ",
                note="42 table-windows",
            ),
        ),
        signoffs=signoffs(judged),
        timeline=timeline(),
    )


CLEARED = (
    Cleared(
        subject=ref("flights"),
        window=DAYS[4],
        change="refactor of the cleaning code",
        reason="0 of 61,240 cells differ",
        command="headwater why incident:nyc/1 --suspect flights",
    ),
    Cleared(
        subject="model:nyc/delay@8",
        window=DAYS[17],
        change="release, re-seeded",
        side="ml",
        reason="mean |Δp| 0.0041, approved 0.0043",
        command="headwater trace model:nyc/delay@8",
    ),
    Cleared(subject=ref("route_days"), window=DAYS[20], change="rounding to 1e-6", reason="0 of 12,480 cells differ"),
    Cleared(
        subject=ref("flight_planes"), window=DAYS[49], change="refactor of the join", reason="0 of 58,320 cells differ"
    ),
)
FACTS = (
    Fact(label="Table-windows delivered", value=1140, command="headwater datasets --json"),
    Fact(label="Tables recomputed exactly", value=780, note="the shadow replay, every window"),
    Fact(
        label="Windows before the fault with an incident", value=0, unit="of 21", command="headwater incidents --json"
    ),
    Fact(label="Verdict", value=0.61, unit="s", note="from the first finding, on 2 cores"),
    Fact(label="The whole run", value=71.4, unit="s", command="headwater demo --json"),
)
AUDIT = (
    Fact(label="ledger entries", value=8412),
    Fact(label="hash chain", value="verified", command="headwater audit verify"),
    Fact(label="head", value="b1946ac92492d234"),
)


def repaired() -> Report:
    return Report(
        project="nyc",
        title="New York flights, July and August 2013",
        generated=NOW,
        windows=DAYS,
        assets=rows(),
        cells=fault_cells(),
        edges=nyc_edges(),
        marks=MARKS,
        incidents=(story(),),
        cleared=CLEARED,
        facts=FACTS,
        audit=AUDIT,
    )


def quiet() -> Report:
    marks = tuple(mark for mark in MARKS if mark.kind not in ("incident", "remedy"))
    calm = tuple(replace(item, marks=()) for item in metric_curves()[1:2])
    flat = tuple(
        replace(item, value=tuple(None if x is None or START <= i < REMEDY else x for i, x in enumerate(item.value)))
        for item in calm
    )
    return replace(repaired(), incidents=(), marks=marks, cells=quiet_cells(11), curves=flat)


def three() -> Report:
    """Three incidents: one closed, one with a disagreement, one not yet judged."""
    first = story()
    judged = first.verdict
    assert judged is not None
    second = replace(
        judged,
        incident="incident:nyc/2",
        subject=ref("carrier_history"),
        fault="stale feature",
        side="ml",
        confidence=0.83,
        owner="delay model",
        text="The carrier history stood still from 12 August",
        start_window=DAYS[42],
        window=DAYS[43],
        remedy=replace(
            judged.remedy,
            action="rollback_code",
            target=ref("carrier_history"),
            text="",
            gain=6120.0,  # type: ignore[type-var]
            gain_low=-400.0,
            gain_high=12800.0,
        ),
        chain=(replace(judged.chain[3], subject=ref("carrier_history"), text="Each row equals the row of 11 August."),),
        suspects=(
            replace(
                judged.suspects[0],
                subject=ref("carrier_history"),
                side="ml",
                owner="delay model",
                fault="stale",
                probability=0.83,
                reason="recomputed: 14 of 14 carriers differ",
                numbers={},
            ),
            judged.suspects[1],
        ),
        prevention=None,
    )
    cells = fault_cells()
    for index in range(42, 60):
        for name, level in (("carrier_history", 3.2), ("delay_features", 1.3)):
            cells[ref(name), DAYS[index]] = Cell(
                strength=level, state="quarantined" if index < 46 else "alarm", text="stale"
            )
    other = IncidentStory(
        incident="incident:nyc/2",
        state="remedy planned",
        verdict=second,
        detected_window=DAYS[43],
        lineage=Lineage(
            nodes=rows()[:0] + tuple(row for row in rows() if row.side == "ml"),
            edges=nyc_edges(),
            path=tuple(ref(name) for name in ("carrier_history", "delay_features", "delay_predictions")),
        ),
        signoffs=(
            Signoff(
                incident="incident:nyc/2",
                side="ml",
                by="Jonas Weber",
                evidence_hash="0" * 64,
                agrees=False,
                reason="The replay used the view of last week.",
                prevention_owner="",
                time=NOW,
            ),
        ),
        timeline=(Moment(time=NOW, state="opened", by="headwater", note="2 findings"),),
    )
    third = IncidentStory(
        incident="incident:nyc/3",
        state="open",
        timeline=(Moment(time=NOW, state="opened", by="headwater", note="late rows in planes_raw"),),
    )
    return replace(repaired(), incidents=(first, other, third), cells=cells)


def many(assets: int, windows: int, loud: float = 0.0, names: str = "asset_{:03d}") -> Report:
    """A large line: every cell has a strength and a text, and a share of them is in alarm."""
    rng = random.Random(assets)
    days = tuple(str(date(2024, 1, 1) + timedelta(days=index)) for index in range(windows))
    layers = ("raw", "staged", "modeled", "feature", "prediction")
    lines = tuple(
        AssetRow(
            ref=f"dataset:big/{names.format(index)}",
            layer=layers[min(index * 5 // assets, 4)],
            side="data" if index < assets * 0.6 else "ml",
            owner=f"team {index % 17}",
        )
        for index in range(assets)
    )
    cells = {}
    for row in lines:
        for day in days:
            alarm = rng.random() < loud
            strength = rng.uniform(1, 6) if alarm else rng.betavariate(1.4, 7)
            cells[row.ref, day] = Cell(
                strength=strength,
                state="alarm" if alarm else "ok",
                text=f"largest of 41 metrics at {strength:.2f}, band {strength / 2:.3f} to {strength:.3f}",
            )
    culprit, end = lines[assets // 9], lines[-1]
    path = (*(lines[assets * share // 36].ref for share in (4, 12, 18, 27)), end.ref)
    start = windows // 2
    for position, name in enumerate(path):
        for day in days[start:]:
            cells[name, day] = Cell(
                strength=6.0 / (position + 1),
                state="alarm" if position < 5 else "notice",
                text=f"{6.0 / (position + 1):.2f} × the limit",
            )
    judged = replace(
        verdict(),
        subject=culprit.ref,
        start_window=days[start],
        window=days[start],
        effect=None,
        suspects=(replace(suspects()[0], subject=culprit.ref),),
        chain=(),
    )
    told = IncidentStory(
        incident="incident:big/1",
        state="open",
        verdict=judged,
        detected_window=days[start],
        lineage=Lineage(nodes=lines, edges=tuple(pairwise(path)), path=path),
    )
    return Report(
        project="big",
        title="A large line",
        generated=NOW,
        windows=days,
        assets=lines,
        cells=cells,
        incidents=(told,),
        edges=tuple((lines[i].ref, lines[i + 7].ref) for i in range(assets - 7)),
    )


SAMPLES = {
    "repaired": repaired,
    "quiet": quiet,
    "three": three,
    "middle": lambda: many(25, 60, names="warehouse_core_customers_and_orders_history_by_region_{:03d}"),
    "large": lambda: many(500, 90),
    "worst": lambda: many(500, 90, loud=0.5),
}
