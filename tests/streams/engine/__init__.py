"""Tests of streams/engine."""
