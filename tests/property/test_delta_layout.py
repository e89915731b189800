"""Any frame can be stored in a Delta table's types and comes back as it was."""

import io

import polars as pl
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars.testing.parametric import dataframes

from headwater.adapters.delta_layout import FOOTER, Layout, decode, encode, lay_out
from headwater.stats.frames.content import content_hash

FEW = settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
frames = dataframes(max_cols=4, max_size=6)


def stored(frame, layout, local_times):
    buffer = io.BytesIO()
    encode(frame, layout, local_times=local_times).write_parquet(buffer, metadata={FOOTER: layout.text})
    buffer.seek(0)
    return buffer


@FEW
@given(frame=frames, local_times=st.booleans())
def test_a_frame_comes_back_from_its_file_alone(frame, local_times):
    layout, _ = lay_out(frame, {}, local_times=local_times)
    file = stored(frame, layout, local_times)
    read = Layout.parse(pl.read_parquet_metadata(file)[FOOTER])
    file.seek(0)
    back = decode(pl.read_parquet(file), read)
    assert list(back.schema.items()) == list(frame.schema.items())
    assert content_hash(back) == content_hash(frame)


@FEW
@given(first=frames, second=frames)
def test_two_frames_share_a_table_without_sharing_a_column_of_two_types(first, second):
    layout, fields = lay_out(first, {}, local_times=True)
    other, both = lay_out(second, fields, local_times=True)
    assert both | fields == both, "a column that is there keeps its type"
    assert len({name.lower() for name in both}) == len(both), "Delta tells no names apart by case"
    for frame, made in ((first, layout), (second, other)):
        places = [place for place, way in made.columns if way != "none"]
        assert len(set(places)) == len(places) and set(places) <= set(both)
        file = stored(frame, made, True)
        assert content_hash(decode(pl.read_parquet(file), made)) == content_hash(frame)
