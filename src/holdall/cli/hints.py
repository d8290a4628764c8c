"""How to mend what a store refused, by what the error is and which service it is of."""

from __future__ import annotations

from holdall.core.errors import (
    Corrupt,
    InvalidConfig,
    NotFound,
    PermissionDenied,
    Timeout,
    Unauthenticated,
    Unavailable,
    Unsupported,
)

_CREDENTIALS = {
    "s3": "see that access_key and secret_key (or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY) "
    "belong together and to this endpoint, and that the clock of this machine is right; a "
    "temporary key needs session_token too",
    "az": "see that connection_string, or account_name with account_key or sas_token, are of "
    "this account and have not expired, and that the clock of this machine is right",
    "gs": "see that service_account, token or GOOGLE_APPLICATION_CREDENTIALS is of an account "
    "that exists, and that the token has not expired",
    "redis": "give password, and username where the server has users",
}
_RIGHTS = {
    "s3": {
        "open": "s3:ListBucket",
        "list": "s3:ListBucket",
        "write": "s3:PutObject",
        "read": "s3:GetObject",
        "copy": "s3:GetObject and s3:PutObject",
        "delete": "s3:DeleteObject",
    },
    "gs": {
        "open": "storage.objects.list",
        "list": "storage.objects.list",
        "write": "storage.objects.create",
        "read": "storage.objects.get",
        "copy": "storage.objects.get and storage.objects.create",
        "delete": "storage.objects.delete",
    },
}
_ROLES = {
    "az": "the role 'Storage Blob Data Contributor', or a SAS token that allows rcwdl",
    "redis": "the rights +@read +@write +@scripting on the keys",
    "file": "the right to read, write and search the folder: see its owner and mode",
}
_CREATION = {
    "s3": "make the bucket (aws s3 mb s3://NAME), or mend its name",
    "az": "make the container (az storage container create --name NAME), or mend its name",
    "gs": "make the bucket (gcloud storage buckets create gs://NAME), or mend its name",
    "file": "make the folder (mkdir -p FOLDER), or mend its name",
}
_PLACES = {
    "s3": "see that the service runs, and that endpoint and region are right",
    "az": "see that the service runs, and that account_name or endpoint is right",
    "gs": "see that the service can be reached, and that endpoint is right",
    "redis": "see that the server runs, and that host, port and ssl (rediss://) are right",
}
# What services write into an error whose class says less.
_TEXTS = (
    (("timetooskewed", "clock skew"), "set the clock of this machine: it differs from theirs"),
    (
        ("authorizationheadermalformed", "permanentredirect", "wrong region"),
        "set the region that the bucket is in: ?region=NAME, or AWS_REGION",
    ),
    (("no such bucket", "nosuchbucket", "containernotfound"), None),
)


def hint_for(error: Exception, kind: str, step: str) -> str | None:
    """How to mend it; None where the error's own text says all there is to say.

    Args:
        error: What was raised.
        kind: The name of the backend, such as `s3`.
        step: What was tried, such as `write`.
    """
    text = f"{error} {error.__cause__ or ''}".lower()
    for marks, hint in _TEXTS:
        if any(mark in text for mark in marks):
            return hint or _CREATION.get(kind)
    if isinstance(error, Unauthenticated):
        return _CREDENTIALS.get(kind)
    if isinstance(error, PermissionDenied):
        right = _RIGHTS.get(kind, {}).get(step) or _ROLES.get(kind)
        if right is None:
            return None
        return f"it needs {right}; to look only, use --read-only"
    if isinstance(error, (NotFound, InvalidConfig)):
        return _CREATION.get(kind) if isinstance(error, NotFound) else "mend the setting named"
    if isinstance(error, Timeout):
        return "the service is slow or far: raise the setting 'timeout'"
    if isinstance(error, Unavailable):
        return _PLACES.get(kind, "see that the service can be reached")
    if step.startswith("refuse"):
        return (
            "the server ignores conditions, and two writers can overwrite each other: use a newer "
            "version of it, or only one writer"
        )
    if isinstance(error, Corrupt):
        return "trust nothing to this service before it is known why"
    return "do without it here, or use another service" if isinstance(error, Unsupported) else None
