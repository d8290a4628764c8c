"""The operations of the Haystack HTTP API (chapter Ops): each takes a grid and answers one."""
