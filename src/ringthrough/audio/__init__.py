"""Opus, jitter buffer, playout and quality score. No I/O, no clock, no threads."""
