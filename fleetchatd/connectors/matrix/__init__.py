"""Matrix: the client-server API over HTTPS, so that any homeserver will do."""

from __future__ import annotations

from fleetchatd.connectors.matrix.connector import MatrixConnector

__all__ = ["MatrixConnector"]
