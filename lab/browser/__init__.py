"""People in the shipped page: built, served by the real server, opened in Debian's Chromium, and recorded."""
