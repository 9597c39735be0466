"""Ringthrough itself as a messenger under test."""
