"""Byte streams to i-PI: unix and TCP sockets, exact reads, whole writes, waiting for i-PI to come up."""

from __future__ import annotations


class Transport:
    """Where i-PI listens."""


def unix_socket(name: str) -> Transport:
    """Transport to i-PI's unix socket ``/tmp/ipi_<name>``."""
    raise NotImplementedError


def tcp_socket(host: str, port: int) -> Transport:
    """Transport to i-PI listening on ``host:port``."""
    raise NotImplementedError
