"""The text formats of Project Haystack: bytes to grids and back."""
