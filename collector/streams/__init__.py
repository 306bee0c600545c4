"""Streams: what Kafka, RabbitMQ, NATS and Redis carry, read at least once and logged once."""
