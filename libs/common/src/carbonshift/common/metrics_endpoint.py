"""Where Prometheus finds a service's metrics."""

from prometheus_client import CollectorRegistry, start_http_server

from carbonshift.common.errors import InputError

__all__ = ["serve_metrics"]


def serve_metrics(registry: CollectorRegistry, port: int) -> None:
    """Answer at /metrics of the loopback interface, in a thread. Raises: InputError where the port is taken."""
    try:
        start_http_server(port, addr="127.0.0.1", registry=registry)
    except OSError as error:
        raise InputError(f"CARBONSHIFT_METRICS_PORT={port}: {error.strerror}", "choose a free port") from error
