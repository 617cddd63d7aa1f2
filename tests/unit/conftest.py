"""Fixtures for all unit tests: the small worlds over both databases (``small_world.py``)."""

from tests.unit.small_world import database, emptied, memory, quick, small

__all__ = ["database", "emptied", "memory", "quick", "small"]
