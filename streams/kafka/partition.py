"""Says in which lane a cluster's records go: murmur2 of the key, as Java's default partitioner has it.

Every producer of ours and of strangers must agree on this, whatever its client: librdkafka's own default differs, and
wants `partitioner=murmur2_random`.
"""

from typing import Final

_SEED: Final = 0x9747B28C
_M: Final = 0x5BD1E995
_R: Final = 24
_32_BITS: Final = 0xFFFFFFFF
_POSITIVE: Final = 0x7FFFFFFF


def murmur2(data: bytes) -> int:
    """Return the 32-bit murmur2 of `data`, unsigned, with Kafka's seed."""
    length = len(data)
    h = _SEED ^ length
    whole = length & ~3
    for i in range(0, whole, 4):
        k = int.from_bytes(data[i : i + 4], "little") * _M & _32_BITS
        k = (k ^ k >> _R) * _M & _32_BITS
        h = (h * _M & _32_BITS) ^ k
    if whole < length:
        h = (h ^ int.from_bytes(data[whole:], "little")) * _M & _32_BITS
    h = (h ^ h >> 13) * _M & _32_BITS
    return h ^ h >> 15


def lane_of(cluster: str, lanes: int) -> int:
    """Return the lane, from 0 to `lanes` - 1, of a cluster's records in every feed and in `telemetry`."""
    if lanes < 1:
        msg = f"lanes is {lanes}, and must be at least 1"
        raise ValueError(msg)
    return (murmur2(cluster.encode()) & _POSITIVE) % lanes
