"""A client for one request after another: a blocking socket and nothing else, so that it measures the other side."""

import re
import socket
from collections.abc import Mapping

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


class Client:
    """One keep-alive connection to a port of this machine."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._socket = self._connect()

    def _connect(self) -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", self._port), timeout=30.0)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def post(self, path: str, body: bytes, headers: Mapping[str, str]) -> tuple[int, bytes]:
        """Status and body of the answer.

        Raises:
            RuntimeError: the answer has no Content-Length, or the connection ended.
        """
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n{lines}"
        self._socket.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        data = b""
        while (end := data.find(b"\r\n\r\n")) < 0:
            data += self._receive()
        found = _LENGTH.search(data, 0, end + 2)
        if found is None:
            raise RuntimeError(f"an answer without Content-Length: {data[:200]!r}")
        whole = end + 4 + int(found[1])
        while len(data) < whole:
            data += self._receive()
        return int(data[9:12]), data[end + 4 : whole]

    def _receive(self) -> bytes:
        data = self._socket.recv(65536)
        if not data:
            raise RuntimeError(f"port {self._port} closed the connection")
        return data

    def close(self) -> None:
        self._socket.close()
