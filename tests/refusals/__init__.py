"""Broken configurations, and what must be said of each."""
