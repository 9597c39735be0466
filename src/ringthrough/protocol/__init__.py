"""What client and server say to each other: wire frames, directory documents, session and call machines.

Everything here is sans-IO: bytes and the time go in, bytes and events come out. The bodies of records and
signals are opaque; no code in this package can open one.
"""
