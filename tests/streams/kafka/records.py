"""Records as a fetch would bring them."""

from aiokafka import ConsumerRecord

from streams.kafka.bundle import Record


def record(offset: int, value: bytes | None = b"", *, key: bytes | None = None) -> Record:
    """Return a record of topic `t`, partition 0."""
    fetched: Record = ConsumerRecord("t", 0, offset, 1_000 + offset, 1, key, value, None, 0, len(value or b""), ())
    return fetched
