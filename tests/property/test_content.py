"""Equal meaning, equal hash; and nothing else."""

import math

import polars as pl
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars.testing.parametric import dataframes

from headwater.stats.frames.content import content_hash, content_hashes

FEW = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
DTYPES = [
    pl.Int8, pl.UInt64, pl.Float32, pl.Float64, pl.Boolean, pl.String, pl.Binary, pl.Date, pl.Time, pl.Datetime,
    pl.Duration, pl.Categorical, pl.Decimal, pl.List, pl.Struct,
]  # fmt: skip
frames = dataframes(max_cols=4, max_size=12, allow_null=True, allowed_dtypes=DTYPES)


def meaning(value):
    """Write a value so that equal text is equal meaning (NaN is NaN, -0.0 is 0.0)."""
    if isinstance(value, float):
        return "nan" if math.isnan(value) else repr(value + 0.0)
    if isinstance(value, dict):
        return repr([(key, meaning(item)) for key, item in value.items()])
    if isinstance(value, list):
        return repr([meaning(item) for item in value])
    return repr(value)


def spelled(frame):
    return [(name, repr(dtype)) for name, dtype in frame.schema.items()], [
        [meaning(value) for value in row] for row in frame.rows()
    ]


@FEW
@given(frame=frames, cut=st.integers(0, 12))
def test_chunks_and_round_trips_do_not_change_the_hash(frame, cut):
    parts = pl.concat([frame[:cut], frame[cut:]], rechunk=False)
    assert content_hash(parts) == content_hash(frame)
    buffer = frame.write_ipc(None)
    buffer.seek(0)
    assert content_hash(pl.read_ipc(buffer)) == content_hash(frame)


@FEW
@given(data=st.data())
def test_the_hash_tells_exactly_the_frames_that_differ(data):
    frame = data.draw(frames)
    rows = data.draw(st.lists(st.integers(0, max(frame.height - 1, 0)), max_size=12)) if frame.height else []
    other = frame[rows] if rows else frame.clear()
    assert (content_hash(frame) == content_hash(other)) == (spelled(frame) == spelled(other))


WAYS = {
    "as it is": lambda frame, cut: frame,
    "a slice": lambda frame, cut: frame[cut:],
    "empty": lambda frame, cut: frame.clear(),
    "in chunks": lambda frame, cut: pl.concat([frame[:cut], frame[cut:]], rechunk=False),
}
ways = st.lists(st.tuples(st.sampled_from(sorted(WAYS)), st.integers(0, 12)), min_size=1, max_size=5)


@FEW
@given(frame=dataframes(max_cols=4, max_size=12, allow_null=True), other=frames, ways=ways)
def test_many_frames_hashed_together_have_each_the_hash_it_has_alone(frame, other, ways):
    found = {"other": other}
    for place, (way, cut) in enumerate(ways):
        found[str(place)] = WAYS[way](frame, cut)
    assert content_hashes(found) == {name: content_hash(item) for name, item in found.items()}
    assert list(content_hashes(found)) == list(found)


def test_a_long_column_of_text_is_hashed_together_as_alone():
    """From a few thousand rows on text is hashed by other means."""
    long = pl.DataFrame({"x": ["a", None, "\u00e4\U0001f4a5", ""] * 3000})
    parts = {"short": long[:5], "long": long[5:9000], "rest": long[9000:]}
    assert content_hashes(parts) == {name: content_hash(part) for name, part in parts.items()}
