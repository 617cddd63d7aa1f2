"""Keeps jobs, candidates and stage moves in step between hiring systems."""
