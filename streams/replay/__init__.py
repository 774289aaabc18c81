"""Replay: the engine over a range of history, from Kafka, a capture or plain files; touches nothing."""
