"""Capacity planning: how many pods, Redis servers and Voice Live resources a number of calls needs (docs/sizing.md)."""
