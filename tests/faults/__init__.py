"""What must hold whatever dies: workers and brokers are killed, stopped and frozen on a real Kafka."""
