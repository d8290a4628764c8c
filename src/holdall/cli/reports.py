"""Telling what a sync or a verification came to."""

from __future__ import annotations

from shlex import quote
from typing import TYPE_CHECKING, Any

from holdall.cli.output import complain, count_text, say, say_foreign, size_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdall.objects.transfer import Failure, Step, SyncReport, VerifyReport


_SIZES = ("bytes", "resumed_bytes", "reread_bytes")


def say_report(report: SyncReport) -> None:
    """Print what a sync did, and on standard error what failed."""
    parts = [f"copied {count_text(report.copied)} ({size_text(report.bytes)})"]
    if report.resumed:
        had = size_text(report.resumed_bytes)
        parts.append(f"resumed {report.resumed:,} of them ({had} were there already)")
    parts.append(f"{report.skipped:,} already the same")
    if report.deleted:
        parts.append(f"deleted {report.deleted:,}")
    elif report.extra:
        parts.append(f"{report.extra:,} only in the target")
    if report.excluded:
        parts.append(f"{report.excluded:,} excluded")
    say(", ".join(parts))
    say_foreign(report.foreign)
    _complain_of(report.failed, "failed")
    if report.stopped is not None:
        complain(f"stopped early: {report.stopped}")
    if report.not_deleted is not None:
        complain(report.not_deleted.replace("allow_empty permits", "--force permits"))


def _complain_of(failures: Sequence[Failure], what: str) -> None:
    if failures:
        complain(f"{count_text(len(failures))} {what}:")
        for failure in failures:
            complain(f"  {failure.key}: {failure.error}")


def step_json(step: Step) -> dict[str, Any]:
    """One step, for scripts; what does not apply is left out."""
    row = {
        "key": step.key,
        "action": step.action,
        "reason": step.reason,
        "size": step.size,
        "resumed": step.resumed or None,
        "reread": step.reread or None,
        "error": None if step.error is None else str(step.error),
    }
    return {name: value for name, value in row.items() if value is not None}


def _failures_json(failures: Sequence[Failure]) -> list[dict[str, str]]:
    return [{"key": failure.key, "error": str(failure.error)} for failure in failures]


def report_json(report: SyncReport) -> dict[str, Any]:
    """What a sync did, for scripts."""
    names = ("copied", "resumed", "skipped", "deleted", "extra", "excluded", "foreign")
    return {
        **{name: getattr(report, name) for name in (*names, *_SIZES)},
        "failed": _failures_json(report.failed),
        "stopped": None if report.stopped is None else str(report.stopped),
        "not_deleted": report.not_deleted,
    }


def say_verified(report: VerifyReport, places: Sequence[str]) -> None:
    """Print what a verification found, and on standard error what is wrong, and the way out.

    Args:
        report: What was found.
        places: What was verified, as typed: one, or two that were compared.
    """
    none = f"{report.unrecorded:,} without a recorded checksum "
    read = f"({size_text(report.bytes)} read)"
    say(f"{count_text(report.ok)} verified{', ' + none if report.unrecorded else ' '}{read}")
    say_foreign(report.foreign)
    _complain_of(report.damaged, "damaged or different")
    _complain_of(report.unreadable, "unreadable")
    _complain_of(report.missing, "missing on one side")
    if report.damaged:
        pair = places if len(places) > 1 else ["COPY", *places]
        source, target = map(quote, pair)
        complain(
            f"if {'the first place' if pair is places else 'a COPY elsewhere'} is sound, this "
            f"repairs the other: holdall sync --compare content {source} {target}"
        )


def verify_json(report: VerifyReport) -> dict[str, Any]:
    """What a verification found, for scripts."""
    return {
        "ok": report.ok,
        "unrecorded": report.unrecorded,
        "bytes": report.bytes,
        "foreign": report.foreign,
        "damaged": _failures_json(report.damaged),
        "unreadable": _failures_json(report.unreadable),
        "missing": _failures_json(report.missing),
    }
