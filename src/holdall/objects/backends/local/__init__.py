"""Objects as files in folders, on the operating system's own calls."""

from holdall.objects.backends.local.store import LocalSettings, LocalStore

__all__ = ["LocalSettings", "LocalStore"]
