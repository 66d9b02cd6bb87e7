"""Layers over sequences: cells, and what runs them step by step."""
