"""The server of S3 behind these tests."""

from servers import versity_server

__all__ = ["versity_server"]
