"""Real servers for the tests, each a process of its own on a free port of 127.0.0.1.

`fixtures` holds what a test asks for. `install` puts the servers where `places` says, `commands`
finds them there, `process` starts and stops them, and `clouds` and `caches` know each of them.
"""
