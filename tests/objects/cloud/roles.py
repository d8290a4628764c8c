"""What the tests of AWS credentials find."""

import json
from datetime import UTC, datetime

from holdall.objects.backends.cloud.credentials import Lease
from holdall.objects.backends.cloud.sigv4 import Key

SECRET = "hunter2-never-shown"
END = datetime(2999, 1, 1, tzinfo=UTC)
ROLE = json.dumps(
    {
        "Code": "Success",
        "AccessKeyId": "id-of-role",
        "SecretAccessKey": SECRET,
        "Token": "token-of-role",
        "Expiration": "2999-01-01T00:00:00Z",
    }
).encode()
OF_ROLE = Lease(Key("id-of-role", SECRET, "token-of-role"), END)

Environment = dict[str, str]


def profile(name: str, key: str, more: str = "") -> str:
    """A profile as it stands in a file."""
    return f"[{name}]\naws_access_key_id = {key}\naws_secret_access_key = {SECRET}\n{more}\n"
