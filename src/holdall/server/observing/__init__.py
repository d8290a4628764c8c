"""Health, readiness and figures of a server."""
