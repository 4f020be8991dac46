"""The time in S3's sequencers, beyond the order that S3 documents.

Every sequencer recorded from S3 begins with 00 and the Unix seconds at which its change began: for
a multipart upload that is when the upload was started. S3 does not document it, so a time
that cannot be right is not used.
"""

from datetime import UTC, datetime, timedelta

CLOCKS_DIFFER = timedelta(seconds=5)
"""The most that the clocks of S3's hosts differ."""

_COMPLETION = "ObjectCreated:CompleteMultipartUpload"
_LONGEST_UPLOAD = timedelta(days=366)
_DIGITS = 10  # 00 and the seconds


def is_ahead(sequencer: str, clock: datetime) -> bool:
    """Return whether the sequencer's time is after S3's clock: S3 cannot have issued it yet."""
    return _seconds(sequencer) > (clock + CLOCKS_DIFFER).timestamp()


def upload_began(name: str | None, sequencer: str | None, time: datetime | None) -> datetime | None:
    """Return when the multipart upload that this event completes began.

    Return None if the event completes no upload or its sequencer does not say.
    """
    if name != _COMPLETION or sequencer is None or time is None:
        return None
    age = time.timestamp() - _seconds(sequencer)
    if not 0 <= age <= _LONGEST_UPLOAD.total_seconds():
        return None
    return datetime.fromtimestamp(_seconds(sequencer), UTC)


def _seconds(sequencer: str) -> int:
    """Return Unix seconds; they lie centuries ahead if the sequencer does not begin with 00."""
    return int(sequencer.ljust(_DIGITS, "0")[:_DIGITS], 16)
