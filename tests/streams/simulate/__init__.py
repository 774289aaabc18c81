"""Tests of the simulator, its truth and its judge."""
