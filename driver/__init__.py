"""i-PI: wire protocol, transports, the serving loop, launching, the command line."""
