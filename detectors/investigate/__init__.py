"""Servers that automation gave up on, and the brake (CATALOGUE, Human Investigate)."""
