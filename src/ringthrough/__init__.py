"""Ringthrough: a self-hosted, end-to-end encrypted messenger whose calls travel on the message connection."""

__version__ = "0.1.0"
