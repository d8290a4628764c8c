"""Objects over HTTP: read by ranges and conditions, written as they come, listed by pages."""
