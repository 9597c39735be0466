"""Where the server keeps streams and the directory: the port and its adapters."""
