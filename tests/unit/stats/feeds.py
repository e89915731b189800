"""Two source tables with real habits, for signatures: hourly readings of stations, and orders of a shop."""

from datetime import timedelta

import numpy as np
import polars as pl

from headwater.core.windows import Calendar, Window

DAYS = Calendar("1d", "Europe/Berlin")
FIRST = "2024-03-01"
STATIONS = ("AMS", "BER", "CPH", "DUS")
PRODUCTS = {f"P{100 + number}": (f"group-{number % 5}", round(1.5 + 0.85 * number, 2)) for number in range(40)}


def day(place: int) -> Window:
    return DAYS.shift(DAYS.window(FIRST), place)


def readings(place: int, storm: float = 0.0) -> pl.DataFrame:
    """One row per station and hour: a daily course, weather that lasts for days, and columns that belong together."""
    window = day(place)
    rng = np.random.default_rng(1000 + place)
    front = 4 * np.sin(place / 3.1) + 3 * np.sin(place / 7.7 + 1) - 12 * storm
    hours = int((window.end - window.start).total_seconds() // 3600)
    rows = []
    for number, station in enumerate(STATIONS):
        for hour in range(hours):
            time = window.start + timedelta(hours=hour)
            local = (hour + 24) % 24
            warmth = 12 + front + number + 6 * np.sin((local - 9) / 24 * 2 * np.pi) + rng.normal(0, 0.8)
            dew = warmth - 4 - 2 * np.sin((local - 9) / 24 * 2 * np.pi) + rng.normal(0, 0.5) + 3 * storm
            wind = abs(9 + 2 * np.sin(place / 2.3) + rng.normal(0, 3)) * (1 + 2.5 * storm)
            rows.append((station, time, round(float(warmth), 1), round(float(dew), 1), round(float(wind)) * 1.15078))
    frame = pl.DataFrame(
        rows,
        schema={
            "station": pl.String,
            "read_at": pl.Datetime("us", "UTC"),
            "temperature": pl.Float64,
            "dew_point": pl.Float64,
            "wind": pl.Float64,
        },
        orient="row",
    )
    local_time = pl.col("read_at").dt.convert_time_zone("Europe/Berlin")
    return frame.with_columns(day=local_time.dt.day().cast(pl.Int64), hour=local_time.dt.hour().cast(pl.Int64))


def orders(place: int, volume: float = 1.0, late: float = 0.12) -> pl.DataFrame:
    """Orders with a weekly course, a product that determines group and price, and a total of net and tax."""
    window = day(place)
    rng = np.random.default_rng(5000 + place)
    weekend = window.start.astimezone().weekday() >= 5
    count = int(rng.poisson((260 if weekend else 420) * volume))
    products = rng.choice(list(PRODUCTS), count, p=np.linspace(2, 0.5, 40) / np.linspace(2, 0.5, 40).sum())
    minutes = np.sort((rng.beta(4, 3, count) * 1438).astype(int))
    quantity = 1 + rng.poisson(1.2, count)
    net = np.round(quantity * np.array([PRODUCTS[one][1] for one in products]), 2)
    tax = np.round(net * rng.choice([0.07, 0.19], count, p=[0.3, 0.7]), 2)
    shop = rng.choice(["web", "app", "store"], count, p=[0.5, 0.3, 0.2])
    frame = pl.DataFrame(
        {
            "order_id": [f"O-{place:04d}{number:05d}" for number in range(count)],
            "placed_at": [window.start + timedelta(minutes=int(one)) for one in minutes],
            "shop": shop,
            "product": products,
            "group": [PRODUCTS[one][0] for one in products],
            "quantity": quantity.astype(np.int64),
            "net": net,
            "tax": tax,
            "gross": np.round(net + tax, 2),
            "late": (rng.random(count) < late + 0.05 * (shop == "store")).astype(np.int64),
        },
        schema_overrides={"placed_at": pl.Datetime("us", "UTC")},
    )
    return frame


def products(place: int) -> pl.DataFrame:
    """The whole list of products, of which a few come and go."""
    kept = [name for number, name in enumerate(PRODUCTS) if (number * 7 + place // 3) % 41 != 0]
    return pl.DataFrame(
        {
            "product": kept,
            "group": [PRODUCTS[name][0] for name in kept],
            "price": [PRODUCTS[name][1] for name in kept],
            "weight_kg": [round(0.35 + 0.21 * list(PRODUCTS).index(name), 2) for name in kept],
        }
    )
