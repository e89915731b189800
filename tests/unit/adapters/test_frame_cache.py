"""The cache keeps what was used last, within its bytes."""

from __future__ import annotations

import polars as pl

from headwater.adapters.frame_cache import FrameCache


def frame(rows):
    return pl.DataFrame({"x": list(range(rows))})


def test_what_was_not_used_for_longest_goes_first():
    cache = FrameCache(8 * 800)
    for name in "abcdefgh":
        cache.put(name, frame(100))
    assert cache.get("a") is not None
    cache.put("i", frame(100))
    assert cache.get("b") is None
    assert [name for name in "acdefghi" if cache.get(name) is None] == []


def test_a_frame_that_would_push_out_the_rest_is_not_kept():
    cache = FrameCache(8000)
    cache.put("small", frame(100))
    cache.put("large", frame(126))
    assert cache.get("large") is None and cache.get("small").height == 100


def test_a_name_put_twice_counts_once():
    cache = FrameCache(8 * 800)
    for _ in range(20):
        cache.put("a", frame(100))
    for name in "bcdefgh":
        cache.put(name, frame(100))
    assert cache.get("a") is not None
