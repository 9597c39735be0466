"""Opus, padding to a fixed size, jitter buffer, playout and quality score. No I/O, no clock, no threads."""
