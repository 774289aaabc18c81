"""Rollouts and maintenance: what a change did to what it reached."""
