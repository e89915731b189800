"""A second project to hold the line to: a generated web shop with hourly windows and refunds that come a day late.

Every row depends on the seed and its window alone, so that any window can be delivered again, alone or inside a range,
with the same content. Orders follow a day and a week; every second Friday evening a promotion triples them, which is
harmless. Nothing is read from files: feeds are functions of a window, as a plugged-in pipeline would have them.
"""

from __future__ import annotations

import functools
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

import numpy as np
import polars as pl

from headwater.core.project import Project
from headwater.core.windows import Calendar, Window

CALENDAR = Calendar("1h", "UTC")
START = datetime.fromisoformat("2024-01-01T00:00:00+00:00")
"""Hour 0 of the shop: customers and products are dated relative to it."""
CUSTOMERS, PRODUCTS = 900, 160
CATEGORIES = ("books", "fashion", "garden", "kitchen", "shoes", "toys")
COUNTRIES = ("AT", "CH", "DE", "FR", "IT", "NL")
LABEL_LAG = 24
"""Hours after which refunds are reported; about 3 % of the outcomes are still open then and come days later."""
BASE_RATE = 0.12
HISTORY_HOURS = 72
COLUMNS = (
    "amount", "items", "discount", "express", "mobile", "pages", "minutes", "tenure_days", "country_code",
    "category_rate",
)  # fmt: skip


# --- what happens in the shop -----------------------------------------------------------------------------------------
def _rng(seed: int, stream: str, hour: int = 0) -> np.random.Generator:
    return np.random.default_rng([seed, zlib.crc32(stream.encode()), hour + 1_000_000])


def _hour(window: Window) -> int:
    return int((window.start - START) // timedelta(hours=1))


def is_promotion(start: datetime) -> bool:
    """Tell whether an hour lies in the promotion: every second Friday, 17 to 22 o'clock."""
    return start.weekday() == 4 and start.isocalendar().week % 2 == 0 and 17 <= start.hour < 22


def expected_orders(start: datetime) -> float:
    """Return the mean number of orders of an hour: busier in the evening and on Sundays, quiet at night."""
    by_hour = 55 + 45 * np.sin((start.hour - 13) / 24 * 2 * np.pi)
    by_day = (1.0, 0.95, 0.95, 1.0, 1.1, 1.15, 1.3)[start.weekday()]
    return float(by_hour * by_day * (3.0 if is_promotion(start) else 1.0))


@functools.lru_cache(maxsize=8)
def _customers(seed: int) -> pl.DataFrame:
    rng = _rng(seed, "customers")
    since = np.sort(rng.integers(-900 * 24, 0, CUSTOMERS))
    return pl.DataFrame(
        {
            "customer_id": [f"C{number:05d}" for number in range(CUSTOMERS)],
            "country": rng.choice(COUNTRIES, CUSTOMERS, p=(0.1, 0.1, 0.4, 0.15, 0.1, 0.15)),
            "since": pl.Series([START + timedelta(hours=int(hours)) for hours in since]).dt.cast_time_unit("us"),
        }
    )


@functools.lru_cache(maxsize=8)
def _products(seed: int) -> pl.DataFrame:
    rng = _rng(seed, "products")
    return pl.DataFrame(
        {
            "product_id": [f"P{number:04d}" for number in range(PRODUCTS)],
            "category": rng.choice(CATEGORIES, PRODUCTS),
            "price": np.round(np.exp(rng.normal(3.2, 0.7, PRODUCTS)), 2),
        }
    )


@functools.lru_cache(maxsize=2048)
def _happened(seed: int, key: str) -> pl.DataFrame:
    """Everything about the orders of one hour, also what only the future knows."""
    window = CALENDAR.window(key)
    hour = _hour(window)
    rng = _rng(seed, "orders", hour)
    promotion = is_promotion(window.start)
    count = max(5, int(rng.poisson(expected_orders(window.start))))
    buyer = _customers(seed)[rng.integers(0, CUSTOMERS, count)]
    product = _products(seed)[rng.integers(0, PRODUCTS, count)]
    items = 1 + rng.poisson(0.7, count)
    discount = np.where(rng.random(count) < (0.8 if promotion else 0.2), rng.choice([0.1, 0.2, 0.3], count), 0.0)
    pages = 1 + rng.poisson(6, count)
    minutes = np.round(rng.gamma(2.0, 4.0, count), 1)
    mobile = rng.random(count) < 0.55
    express = rng.random(count) < 0.25
    tenure = (window.start - buyer["since"]).dt.total_hours().to_numpy() / 24
    price = product["price"].to_numpy()
    taste = {"books": -1.1, "fashion": 0.8, "garden": -0.3, "kitchen": -0.5, "shoes": 1.2, "toys": 0.0}
    risk = {"AT": -0.3, "CH": -0.4, "DE": 0.3, "FR": 0.1, "IT": 0.5, "NL": -0.2}
    weight = (
        -2.7
        + product["category"].replace_strict(taste, return_dtype=pl.Float64).to_numpy()
        + buyer["country"].replace_strict(risk, return_dtype=pl.Float64).to_numpy()
        + 0.5 * np.log(price * items / 25)
        + 2.5 * discount
        + 0.5 * mobile
        - 0.5 * express
        - 0.07 * minutes
        + 1.2 * (tenure < 60)
        + 0.9 * (pages < 4)
    )
    refunded = rng.random(count) < 1 / (1 + np.exp(-weight))
    waited = np.where(rng.random(count) < 0.97, rng.uniform(1, LABEL_LAG, count), rng.uniform(30, 120, count))
    seconds = np.sort(rng.integers(0, 3600, count))
    return pl.DataFrame(
        {
            "order_id": [f"O{hour:06d}-{number:04d}" for number in range(count)],
            "session_id": [f"S{hour:06d}-{number:04d}" for number in range(count)],
            "ordered_at": pl.Series([window.start + timedelta(seconds=int(second)) for second in seconds]),
            "customer_id": buyer["customer_id"],
            "product_id": product["product_id"],
            "items": items,
            "amount": np.round(price * items * (1 - discount), 2),
            "discount": discount,
            "express": express,
            "mobile": mobile,
            "pages": pages,
            "minutes": minutes,
            "chargeback": refunded & (rng.random(count) < 0.25),
            "refunded": refunded,
            "waited": waited,
            "tracked": rng.random(count) < 0.94,
        },
        schema_overrides={"ordered_at": pl.Datetime("us", "UTC")},
    )


def _rows(seed: int, window: Window) -> pl.DataFrame:
    first, _, last = window.key.partition("..")
    return pl.concat([_happened(seed, item.key) for item in CALENDAR.between(first, last or first)])


@dataclass(frozen=True, slots=True)
class Shop:
    """The shop's feeds, one method each, for one seed: each takes a window (or a range) and returns a frame."""

    seed: int = 0

    def orders(self, window: Window) -> pl.DataFrame:
        """Orders as the checkout sends them."""
        columns = ("order_id", "session_id", "ordered_at", "customer_id", "product_id", "items", "amount", "discount")
        return _rows(self.seed, window).select(*columns, "express")

    def sessions(self, window: Window) -> pl.DataFrame:
        """Web sessions that led to an order; 6 % refuse to be tracked."""
        rows = _rows(self.seed, window).filter("tracked")
        return rows.select("session_id", pl.col("ordered_at").alias("ended_at"), "mobile", "pages", "minutes")

    def customers(self, window: Window) -> pl.DataFrame:
        """All customers; they signed up before `START`."""
        return _customers(self.seed)

    def products(self, window: Window) -> pl.DataFrame:
        """The catalogue; the newest 5 % of the products are not in it yet."""
        return _products(self.seed).head(int(PRODUCTS * 0.95))

    def refunds(self, window: Window) -> pl.DataFrame:
        """What became of the window's orders, as known a day later: what is open then is null."""
        rows = _rows(self.seed, window)
        known = pl.when(pl.col("waited") <= LABEL_LAG)
        return rows.select(
            "order_id",
            "ordered_at",
            refunded=known.then(pl.col("refunded").cast(pl.Int64)),
            chargeback=known.then(pl.col("chargeback").cast(pl.Int64)),
        )

    def refunds_restated(self, window: Window) -> pl.DataFrame:
        """The same a week later, with nothing open: what a backfill of old windows would deliver."""
        whole = pl.col("refunded", "chargeback").cast(pl.Int64)
        return _rows(self.seed, window).select("order_id", "ordered_at", whole)


# --- the pipeline: plain functions of frames --------------------------------------------------------------------------
def orders(raw_orders: pl.DataFrame) -> pl.DataFrame:
    """Typed orders, one row each."""
    return raw_orders.with_columns(pl.col("express").cast(pl.Int64)).unique("order_id", keep="first").sort("order_id")


def sessions(raw_sessions: pl.DataFrame) -> pl.DataFrame:
    """Typed sessions."""
    return raw_sessions.with_columns(pl.col("mobile").cast(pl.Int64)).sort("session_id")


def basket(orders: pl.DataFrame, raw_products: pl.DataFrame) -> pl.DataFrame:
    """Orders with what was bought; a product that is not listed yet has no category."""
    return orders.join(raw_products, on="product_id", how="left").sort("order_id")


def visits(orders: pl.DataFrame, sessions: pl.DataFrame, raw_customers: pl.DataFrame) -> pl.DataFrame:
    """Orders with the session that led to them and the customer's record."""
    joined = orders.select("order_id", "session_id", "ordered_at", "customer_id")
    joined = joined.join(sessions.drop("ended_at"), on="session_id", how="left")
    joined = joined.join(raw_customers, on="customer_id", how="left")
    tenure = (pl.col("ordered_at") - pl.col("since")).dt.total_hours() / 24
    columns = ("order_id", "ordered_at", "mobile", "pages", "minutes", "country")
    return joined.select(*columns, tenure_days=tenure).sort("order_id")


def outcomes(basket: pl.DataFrame, raw_refunds: pl.DataFrame) -> pl.DataFrame:
    """Orders whose outcome is known, with category and amount."""
    known = raw_refunds.drop_nulls("refunded").select("order_id", "refunded", "chargeback")
    columns = ("order_id", "ordered_at", "category", "amount")
    return basket.select(*columns).join(known, on="order_id", how="inner").sort("order_id")


def category_history(outcomes: pl.DataFrame, window: Window) -> pl.DataFrame:
    """Refund rate per category over the last `HISTORY_HOURS` hours; known a day after the hour has passed."""
    hourly = outcomes.drop_nulls("category").group_by("category", pl.col("ordered_at").dt.truncate("1h").alias("hour"))
    counted = hourly.agg(sold=pl.len().cast(pl.Int64), back=pl.col("refunded").sum())
    offsets = pl.DataFrame({"offset": list(range(HISTORY_HOURS))})
    moved = counted.join(offsets, how="cross").with_columns(pl.col("hour") + pl.duration(hours="offset"))
    summed = moved.group_by("category", "hour").agg(pl.col("sold", "back").sum())
    inside = summed.filter(pl.col("hour").is_between(window.start, window.end, closed="left"))
    known = (pl.col("hour") + pl.duration(hours=LABEL_LAG + 1)).alias("known_at")
    return inside.select("category", "hour", known, category_rate=pl.col("back") / pl.col("sold")).sort(
        "hour", "category"
    )


def refund_features(basket: pl.DataFrame, visits: pl.DataFrame, category_history: pl.DataFrame) -> pl.DataFrame:
    """One row per order, with what was known when it was placed."""
    joined = basket.join(visits.drop("ordered_at"), on="order_id", how="left").sort("ordered_at", "order_id")
    joined = joined.join_asof(
        category_history.drop("hour").sort("known_at"),
        left_on="ordered_at",
        right_on="known_at",
        by="category",
        check_sortedness=False,
    )
    codes = dict(zip(COUNTRIES, range(len(COUNTRIES)), strict=True))
    filled = joined.with_columns(
        pl.col("category_rate").fill_null(BASE_RATE),
        pl.col("mobile").fill_null(1),
        pl.col("pages").fill_null(7),
        pl.col("minutes").fill_null(8.0),
        pl.col("tenure_days").fill_null(0.0),
        country_code=pl.col("country").replace_strict(codes, default=-1, return_dtype=pl.Int64),
    )
    return filled.select("order_id", "ordered_at", "category", *COLUMNS).sort("order_id")


def refund_labels(outcomes: pl.DataFrame) -> pl.DataFrame:
    """The known outcomes: refunded or charged back."""
    return outcomes.select("order_id", "ordered_at", "refunded")


def matrix(frame: pl.DataFrame) -> Any:
    """Features as the model wants them; what is skewed goes in as logarithms."""
    skewed = [pl.col(name).cast(pl.Float64).clip(lower_bound=0).log1p() for name in ("amount", "tenure_days")]
    return frame.select(COLUMNS).cast(pl.Float64).with_columns(skewed).to_numpy()


def train(frame: pl.DataFrame, seed: int) -> dict[str, Any]:
    """Fit scaler and logistic regression on the first three quarters, calibrator and threshold on the last."""
    from sklearn.isotonic import IsotonicRegression
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    frame = frame.sort("ordered_at", "order_id")
    cut = frame.height * 3 // 4
    past, recent = frame[:cut], frame[cut:]
    rng = np.random.default_rng(seed)
    sample = np.sort(rng.choice(past.height, past.height * 9 // 10, replace=False))
    scaler = StandardScaler().fit(matrix(past))
    model = LogisticRegression(C=0.5).fit(scaler.transform(matrix(past[sample])), past[sample]["refunded"].to_numpy())
    raw = model.predict_proba(scaler.transform(matrix(recent)))[:, 1]
    calibrator = IsotonicRegression(y_min=0.005, y_max=0.995, out_of_bounds="clip")
    calibrator.fit(raw, recent["refunded"].to_numpy())
    threshold = float(np.quantile(calibrator.predict(raw), 0.85))
    return {"scaler": scaler, "model": model, "calibrator": calibrator, "threshold": threshold}


def refund_served(refund_features: pl.DataFrame) -> pl.DataFrame:
    """What the online store hands to the server."""
    return refund_features.select("order_id", "ordered_at", "category", *COLUMNS)


def score(parts: dict[str, Any], served: pl.DataFrame) -> pl.DataFrame:
    """Probability of a refund, and whether the order is held for review."""
    p = parts["model"].predict_proba(parts["scaler"].transform(matrix(served)))[:, 1]
    if parts.get("calibrator") is not None:
        p = parts["calibrator"].predict(p)
    return pl.DataFrame({"p": p, "decision": (p >= parts["threshold"]).astype(np.int64)})


def unreviewed(rows: pl.DataFrame) -> pl.Series:
    """Money refunded on orders that nobody reviewed."""
    return rows["amount"] * rows["refunded"] * (1 - rows["decision"])


def build(seed: int = 0) -> Project:
    """Put the shop's project together; windows are hours from `START` on."""
    shop = Shop(seed)
    project = Project("shop", every="1h", timezone="UTC")
    project.source(shop.orders, name="raw_orders", key=["order_id"], time="ordered_at")
    project.source(shop.sessions, name="raw_sessions", key=["session_id"], time="ended_at")
    project.source(shop.customers, name="raw_customers", key=["customer_id"], snapshot=True)
    project.source(shop.products, name="raw_products", key=["product_id"], snapshot=True)
    project.source(shop.refunds, name="raw_refunds", key=["order_id"], time="ordered_at", lag=LABEL_LAG)
    project.dataset(orders, layer="staged", key=["order_id"], time="ordered_at")
    project.dataset(sessions, layer="staged", key=["session_id"], time="ended_at")
    project.dataset(basket, key=["order_id"], time="ordered_at")
    project.dataset(visits, key=["order_id"], time="ordered_at")
    project.dataset(outcomes, key=["order_id"], time="ordered_at", lag=LABEL_LAG)
    project.dataset(
        category_history,
        key=["category", "hour"],
        time="hour",
        lag=LABEL_LAG,
        lookback={"outcomes": HISTORY_HOURS - 1},
        side="ml",
    )
    project.features(refund_features, key=["order_id"], time="ordered_at", lookback={"category_history": LABEL_LAG + 2})
    project.labels(refund_labels, key=["order_id"], time="ordered_at", lag=LABEL_LAG)
    project.model(
        "refund",
        features="refund_features",
        labels="refund_labels",
        entity="order_id",
        outcome="refunded",
        columns=COLUMNS,
        train=train,
        score=score,
        serve=refund_served,
        cost=unreviewed,
        unit="euro",
        carry=("ordered_at", "category"),
    )
    return project


# --- faults with their truth ------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class ShopFault:
    """A silent fault of the shop: replace an asset's feed or function, or undo that.

    ``asset`` is the bare name that fails and that `project.replace` is called with; ``remedies`` are the right ones.
    """

    name: str
    kind: str
    asset: str
    side: Literal["data", "ml"]
    layer: str
    remedies: frozenset[str]
    change: Callable[[Callable[..., Any]], Callable[..., Any]]
    describe: str

    def plant(self, project: Project) -> Callable[..., Any]:
        """Begin the fault; return the function it replaced, for `Project.replace` to put back."""
        healthy = project.functions[self.asset]
        project.replace(self.asset, self.change(healthy))
        return healthy


def _in_cents(feed: Callable[[Window], pl.DataFrame]) -> Callable[[Window], pl.DataFrame]:
    def raw_orders(window: Window) -> pl.DataFrame:
        return feed(window).with_columns((pl.col("amount") * 100).round(0))

    return raw_orders


def _untracked(feed: Callable[[Window], pl.DataFrame]) -> Callable[[Window], pl.DataFrame]:
    def raw_sessions(window: Window) -> pl.DataFrame:
        kept = pl.col("session_id").str.slice(-1).is_in(["0", "1", "2"])
        return feed(window).with_columns(pl.when(kept).then(pl.col(name)).alias(name) for name in ("pages", "minutes"))

    return raw_sessions


def _half_catalogue(feed: Callable[[Window], pl.DataFrame]) -> Callable[[Window], pl.DataFrame]:
    def raw_products(window: Window) -> pl.DataFrame:
        frame = feed(window)
        return frame.head(frame.height * 2 // 5)

    return raw_products


def _basket_inner(healthy: Callable[..., Any]) -> Callable[..., Any]:
    def basket(orders: pl.DataFrame, raw_products: pl.DataFrame) -> pl.DataFrame:
        return orders.join(raw_products, on="product_id", how="inner").sort("order_id")

    return basket


def _short_history(healthy: Callable[..., Any]) -> Callable[..., Any]:
    def category_history(outcomes: pl.DataFrame, window: Window) -> pl.DataFrame:
        recent = outcomes.filter(pl.col("ordered_at") >= window.start - timedelta(hours=2))
        made: pl.DataFrame = healthy(recent, window)
        return made

    return category_history


def _percent(healthy: Callable[..., Any]) -> Callable[..., Any]:
    def refund_features(basket: pl.DataFrame, visits: pl.DataFrame, category_history: pl.DataFrame) -> pl.DataFrame:
        made: pl.DataFrame = healthy(basket, visits, category_history)
        return made.with_columns(pl.col("discount") * 100)

    return refund_features


def _no_sessions(healthy: Callable[..., Any]) -> Callable[..., Any]:
    def refund_served(refund_features: pl.DataFrame) -> pl.DataFrame:
        made: pl.DataFrame = healthy(refund_features)
        return made.with_columns(minutes=pl.lit(0.0), pages=pl.lit(0, dtype=pl.Int64))

    return refund_served


def _shifted(healthy: Callable[..., Any]) -> Callable[..., Any]:
    def score(parts: dict[str, Any], served: pl.DataFrame) -> pl.DataFrame:
        made: pl.DataFrame = healthy(parts, served)
        return pl.DataFrame({name: np.roll(made[name].to_numpy(), 1) for name in made.columns})

    return score


def _only_chargebacks(healthy: Callable[..., Any]) -> Callable[..., Any]:
    def refund_labels(outcomes: pl.DataFrame) -> pl.DataFrame:
        return outcomes.select("order_id", "ordered_at", refunded="chargeback")

    return refund_labels


_FEED, _CODE = frozenset({"repair", "hold"}), frozenset({"rollback_code"})
_ALL = (
    ShopFault("amount_in_cents", "unit", "raw_orders", "data", "source", _FEED, _in_cents,
              "the checkout sends amounts in cents"),
    ShopFault("sessions_untracked", "null burst", "raw_sessions", "data", "source", _FEED, _untracked,
              "most sessions come without pages and minutes"),
    ShopFault("catalogue_truncated", "truncated snapshot", "raw_products", "data", "ingestion", _FEED, _half_catalogue,
              "the catalogue ends after two fifths of its rows"),
    ShopFault("basket_join_inner", "inner for left join", "basket", "data", "transform", _CODE, _basket_inner,
              "orders of products that are not listed yet are dropped"),
    ShopFault("history_window", "wrong window", "category_history", "ml", "feature", _CODE, _short_history,
              "the categories' history covers three hours instead of three days"),
    ShopFault("discount_percent", "scale", "refund_features", "ml", "feature", _CODE, _percent,
              "the discount is in percent where the model knows a share"),
    ShopFault("served_default_zero", "default value", "refund_served", "ml", "serving", _CODE, _no_sessions,
              "the online store answers zero for the session's features"),
    ShopFault("batch_misaligned", "misaligned batch", "refund_predictions", "ml", "serving", _CODE, _shifted,
              "each order gets the prediction of the order before it"),
    ShopFault("label_definition", "label definition", "refund_labels", "ml", "label", _CODE, _only_chargebacks,
              "only chargebacks count as refunds"),
)  # fmt: skip

FAULTS: dict[str, ShopFault] = {fault.name: fault for fault in _ALL}
"""The shop's faults by name."""


def refactored_basket(orders: pl.DataFrame, raw_products: pl.DataFrame) -> pl.DataFrame:
    """A harmless rewrite of `basket`: other code, the same rows."""
    listed = raw_products.select("product_id", "category", "price")
    return orders.sort("order_id").join(listed, on="product_id", how="left", maintain_order="left")
