"""Topics: made as DESIGN says, found to differ, mended; and never another number of partitions."""

import pytest
from confluent_kafka.admin import AdminClient

from streams.kafka.embedded import EmbeddedBroker
from streams.kafka.real import RealBroker
from streams.kafka.topics import TOPICS, Retention, TopicAdmin, TopicsError, apply_embedded, wanted

NO_LIMIT = str(2**63 - 1)


def test_every_topic_is_there_once() -> None:
    names = [spec.name for spec in TOPICS]

    assert 19 == len(set(names)) == len(names)
    assert {"telemetry", "fleet", "progress", "dead-letters"} < set(names)


def test_only_what_the_fleet_engine_reads_and_keeps_has_a_single_partition_and_all_bear_the_prefix() -> None:
    topics = wanted(partitions=64, prefix="x.")

    single = {"x.fleet": 1, "x.fleet-progress": 1, "x.fleet-snapshots": 1}

    assert single == {topic.name: topic.partitions for topic in topics if topic.partitions != 64}
    assert all(topic.name.startswith("x.") for topic in topics)


def test_feeds_are_stamped_by_the_broker_and_what_bears_source_time_by_us_without_limit() -> None:
    topics = {topic.name: topic.configs for topic in wanted(partitions=4)}

    assert "LogAppendTime" == topics["host-agent"]["message.timestamp.type"]
    assert "CreateTime" == topics["telemetry"]["message.timestamp.type"]
    assert NO_LIMIT == topics["telemetry"]["message.timestamp.after.max.ms"]
    assert NO_LIMIT == topics["telemetry"]["message.timestamp.before.max.ms"]


def test_simulated_topics_lose_nothing_for_its_age_and_are_all_stamped_by_their_producers() -> None:
    for topic in wanted(partitions=4, simulated=True):
        assert "CreateTime" == topic.configs["message.timestamp.type"]
        assert topic.configs.get("retention.ms", "-1") == "-1"


def test_retention_is_as_configured() -> None:
    topics = {t.name: t.configs for t in wanted(partitions=1, retention=Retention(source_ms=7, history_ms=-1))}

    assert "7" == topics["guest-agent"]["retention.ms"]
    assert "-1" == topics["telemetry"]["retention.ms"]
    assert {"cleanup.policy": "compact"}.items() <= topics["progress"].items()


def test_three_replicas_want_two_in_sync() -> None:
    assert all(topic.configs["min.insync.replicas"] == "2" for topic in wanted(partitions=1, replicas=3))


@pytest.mark.kafka
def test_an_empty_cluster_gets_every_topic_and_then_nothing_differs(real_broker: RealBroker, topic_prefix: str) -> None:
    topics = wanted(partitions=2, prefix=topic_prefix)
    with TopicAdmin(real_broker.bootstrap) as admin:
        plan = admin.plan(topics)
        assert [("create", topic.name) for topic in topics] == [(change.kind, change.topic) for change in plan.changes]
        admin.apply(plan)

        assert () == admin.plan(topics).changes


@pytest.mark.kafka
def test_changed_settings_are_told_and_then_set(real_broker: RealBroker, topic_prefix: str) -> None:
    with TopicAdmin(real_broker.bootstrap) as admin:
        admin.apply(admin.plan(wanted(partitions=1, prefix=topic_prefix)))
        simulated = wanted(partitions=1, prefix=topic_prefix, simulated=True)
        plan = admin.plan(simulated)
        said = [str(change) for change in plan.changes]
        assert f"set {topic_prefix}host-agent message.timestamp.type: LogAppendTime -> CreateTime" in said
        assert f"set {topic_prefix}telemetry retention.ms: 2592000000 -> -1" in said
        admin.apply(plan)

        assert () == admin.plan(simulated).changes


@pytest.mark.kafka
def test_another_number_of_partitions_is_refused_before_anything_is_done(
    real_broker: RealBroker, topic_prefix: str
) -> None:
    some = wanted(partitions=2, prefix=topic_prefix)[:3]
    with TopicAdmin(real_broker.bootstrap) as admin:
        admin.apply(admin.plan(some))
        plan = admin.plan(wanted(partitions=3, prefix=topic_prefix))

        with pytest.raises(TopicsError, match=r"host-agent has 2 partitions, not 3.*another prefix"):
            admin.apply(plan)
        assert [topic.name for topic in some] == [change.topic for change in plan.refused]
        assert () == admin.plan(some).changes
        assert "create" == admin.plan(wanted(partitions=2, prefix=topic_prefix)[3:4]).changes[0].kind


@pytest.mark.kafka
def test_settings_that_the_broker_refuses_are_told_with_its_reason(real_broker: RealBroker, topic_prefix: str) -> None:
    with TopicAdmin(real_broker.bootstrap) as admin:
        admin.apply(admin.plan(wanted(partitions=1, prefix=topic_prefix)[:1]))
        bad = wanted(partitions=1, prefix=topic_prefix, retention=Retention(source_ms=-5))[:1]

        with pytest.raises(TopicsError, match=r"refuses settings: .*host-agent: .*retention\.ms"):
            admin.apply(admin.plan(bad))


@pytest.mark.embedded
def test_the_embedded_broker_gets_topics_and_says_which_settings_it_cannot_have(
    embedded_broker: EmbeddedBroker,
) -> None:
    lacking = apply_embedded(embedded_broker, wanted(partitions=3, simulated=True))

    assert {"cleanup.policy", "retention.ms", "message.timestamp.type"} < set(lacking)
    metadata = AdminClient({"bootstrap.servers": embedded_broker.bootstrap}).list_topics(timeout=10)
    assert {spec.name: 3 if spec.lanes else 1 for spec in TOPICS} == {
        name: len(topic.partitions) for name, topic in metadata.topics.items()
    }


def test_no_broker_is_told_with_its_address() -> None:
    with pytest.raises(TopicsError, match=r"no Kafka answers at 127\.0\.0\.1:1"):
        TopicAdmin("127.0.0.1:1")
