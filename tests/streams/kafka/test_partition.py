"""Lanes: the same partition as Java's, aiokafka's and kafka-python's producers choose."""

import pytest
from aiokafka.partitioner import DefaultPartitioner
from aiokafka.partitioner import murmur2 as aiokafka_murmur2
from hypothesis import given
from hypothesis import strategies as st
from kafka.partitioner.default import murmur2 as kafka_python_murmur2

from streams.kafka.partition import lane_of, murmur2


@pytest.mark.parametrize(
    ("text", "signed"),
    [
        # From Apache Kafka's own UtilsTest.testMurmur2.
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
def test_murmur2_gives_the_vectors_of_kafka_itself(text: bytes, signed: int) -> None:
    assert signed % 2**32 == murmur2(text)


@given(st.binary(max_size=64))
def test_murmur2_agrees_with_both_clients(data: bytes) -> None:
    hashed = murmur2(data)

    assert aiokafka_murmur2(data) % 2**32 == hashed
    assert kafka_python_murmur2(data) % 2**32 == hashed


@given(st.text(max_size=40), st.integers(1, 200))
def test_a_cluster_s_lane_is_the_partition_its_producer_chooses(cluster: str, lanes: int) -> None:
    partitions = list(range(lanes))

    assert DefaultPartitioner()(cluster.encode(), partitions, partitions) == lane_of(cluster, lanes)


def test_no_lanes_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="lanes is 0"):
        lane_of("c1", 0)
