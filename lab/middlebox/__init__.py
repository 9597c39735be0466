"""The middlebox between the lab's hosts: it delays, loses, throttles and forbids as rules say, seeded."""
