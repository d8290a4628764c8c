"""The WebSocket: every operation over one connection, and what changes, told as it happens."""
