"""How the roles reach Kafka: brokers, topics, lanes, the Faust host, transactions. Knows no detector and no role."""
