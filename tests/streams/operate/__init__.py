"""Logs, metrics, health and their pages."""
