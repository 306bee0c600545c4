"""Rollups: what the pages count, per series × minute × latency bucket.

Decides the histogram: bucket b > 0 holds latencies in (GAMMA^(b-1), GAMMA^b] µs, bucket 0 those
up to 1 µs, bucket -1 those unknown; GAMMA bounds the relative error of a percentile by 2 %.
Counts of buckets add up over series and minutes, so percentiles are of the merged histogram and
never averages of percentiles (DDSketch, Masson et al., VLDB 2019, §2).
"""

import math
from collections.abc import Mapping

GAMMA = 1.04
UNKNOWN = -1
MINUTE_US = 60_000_000
_SCALE = 1 / math.log(GAMMA)
_LARGEST = 1_000_000


def bucket(latency_us: int) -> int:
    """Return the bucket of a latency in µs; negative means unknown."""
    if latency_us < 0:
        return UNKNOWN
    if latency_us <= 1:
        return 0
    return min(math.ceil(math.log(latency_us) * _SCALE), _LARGEST)


def bounds(bucket: int) -> tuple[float, float]:
    """Return (lower, upper) of a known bucket in ms: lower is excluded, upper included."""
    if bucket <= 0:
        return 0.0, 0.001
    return GAMMA ** (bucket - 1) / 1000, GAMMA**bucket / 1000


def percentile(buckets: Mapping[int, int], q: float) -> float | None:
    """Return the q-quantile (0..1) in ms of a histogram, None where no latency is known.

    Within 2 % of the exact sample quantile (the value of rank ceil(q·n)).
    """
    known = sorted((b, n) for b, n in buckets.items() if b != UNKNOWN and n > 0)
    total = sum(n for _, n in known)
    if not total:
        return None
    rank = max(1, math.ceil(q * total))
    seen = 0
    for each, count in known:
        seen += count
        if seen >= rank:
            low, high = bounds(each)
            return 2 * low * high / (low + high) if low else high
    return None


def share_within(buckets: Mapping[int, int], limit_ms: float) -> float | None:
    """Return the share of known latencies at or below `limit_ms`, by whole buckets."""
    known = sum(n for b, n in buckets.items() if b != UNKNOWN)
    within = sum(n for b, n in buckets.items() if b != UNKNOWN and bounds(b)[1] <= limit_ms * GAMMA)
    return within / known if known else None
