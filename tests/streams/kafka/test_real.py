"""The real broker: started, stopped, killed and frozen by its own folder."""

from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient

from streams.kafka import real
from streams.kafka.real import BrokerError, RealBroker


def _brokers(broker: RealBroker) -> int:
    return len(AdminClient({"bootstrap.servers": broker.bootstrap}).list_topics(timeout=10).brokers)


@pytest.mark.kafka
def test_a_broker_is_found_again_by_its_folder_alone(real_broker: RealBroker) -> None:
    again = RealBroker(real_broker.directory)

    assert real_broker.bootstrap == again.bootstrap
    assert again.running()


@pytest.mark.kafka
def test_starting_what_runs_changes_nothing(real_broker: RealBroker) -> None:
    assert real_broker.bootstrap == real.start(real_broker.directory)
    assert 1 == _brokers(real_broker)


@pytest.mark.kafka
def test_a_frozen_broker_runs_and_goes_on(real_broker: RealBroker) -> None:
    real_broker.pause()

    assert real_broker.running()
    real_broker.resume()
    assert 1 == _brokers(real_broker)


@pytest.mark.kafka
@pytest.mark.slow
def test_three_nodes_serve_while_one_is_gone_and_take_it_back() -> None:
    with RealBroker(nodes=3, heap_mb=256) as broker:
        assert 3 == _brokers(broker)
        broker.kill(2)
        assert not broker.running(2)
        broker.start_node(2)

        assert 3 == _brokers(broker)


@pytest.mark.kafka
def test_a_killed_broker_comes_back_on_its_port_and_a_stopped_one_is_gone(
    tmp_path: Path, real_broker: RealBroker
) -> None:
    del real_broker  # only so that its skipping holds for this test too
    folder = tmp_path / "broker"
    bootstrap = real.start(folder)
    RealBroker(folder).kill()
    assert not RealBroker(folder).running()

    assert bootstrap == real.start(folder)
    assert real.stop(folder)
    assert not real.stop(folder)


def test_stopping_a_folder_that_never_held_a_broker_stops_nothing(tmp_path: Path) -> None:
    assert not real.stop(tmp_path / "none")


def test_another_port_than_the_folder_s_own_is_refused(tmp_path: Path) -> None:
    RealBroker(tmp_path, port=19092)

    with pytest.raises(BrokerError, match="port 19092, not 29092"):
        RealBroker(tmp_path, port=29092)


def test_a_node_that_does_not_run_cannot_be_frozen(tmp_path: Path) -> None:
    with pytest.raises(BrokerError, match=r"broker 1 in .* does not run"):
        RealBroker(tmp_path).pause()


def test_a_developers_broker_lives_beside_the_jars(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LEAPWATCH_KAFKA_DIR", str(tmp_path))

    assert tmp_path / "broker" == real.default_dir()
