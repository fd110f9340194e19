"""Sockets: frames and hands over ZeroMQ, keys, clock probes."""
