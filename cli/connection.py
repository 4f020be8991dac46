"""The connection to AWS: a boto3 session and, if given, another endpoint."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Self

import boto3
from botocore.config import Config

from .errors import CommandError
from .function.reconciliation.workers import WORKERS

_SHARED = Config(
    max_pool_connections=WORKERS,
    retries={"mode": "standard", "total_max_attempts": 5},
)


@dataclass(frozen=True, slots=True)
class Credentials:
    """Credentials of a moment, for another process."""

    access_key: Any
    secret_key: Any = field(repr=False)
    token: Any = field(repr=False)


@dataclass(frozen=True, slots=True)
class Connection:
    """Makes the clients of a command. Safe to share between threads."""

    session: boto3.Session
    endpoint_url: str | None = None
    """None: the endpoint that the environment or the profile names, or else AWS's own."""
    profile: str | None = None
    """None: the one that the environment names, or none."""

    @classmethod
    def open(
        cls,
        *,
        profile: str | None = None,
        region: str | None = None,
        endpoint_url: str | None = None,
    ) -> Self:
        """Return a connection as the AWS CLI makes it.

        A profile that is given takes precedence over credentials in the environment. None means
        what the environment and the profile say.
        """
        session = boto3.Session(profile_name=profile or None, region_name=region or None)
        return cls(session, endpoint_url or None, profile or None)

    def __reduce__(self) -> tuple[Callable[..., "Connection"], tuple[Any, ...]]:
        """Go to another process with the present credentials."""
        values = (self.profile, self.region, self.endpoint_url, self.credentials())
        return _reopened, values

    def credentials(self) -> Credentials | None:
        """Return the current credentials, or None without any.

        Another process must not look for its own: it would ask for another MFA code.
        """
        found = self.session.get_credentials()
        if found is None:
            return None
        frozen = found.get_frozen_credentials()
        return Credentials(frozen.access_key, frozen.secret_key, frozen.token)

    def renew(self, credentials: Credentials | None) -> None:
        """Use these credentials for all further calls, in a process that got the connection."""
        held = self.session.get_credentials()
        if held and credentials:
            held.access_key = credentials.access_key
            held.secret_key = credentials.secret_key
            held.token = credentials.token

    @property
    def region(self) -> str | None:
        """The Region, if there is one."""
        return self.session.region_name

    def client(self, service: Any, config: Config | None = None) -> Any:
        """Return a client that all workers can share. Raises CommandError for a bad endpoint."""
        merged = _SHARED.merge(config) if config else _SHARED
        try:
            return self.session.client(service, endpoint_url=self.endpoint_url, config=merged)
        except ValueError as error:  # botocore's for an endpoint that is not a URL
            raise CommandError(str(error)) from error


def _reopened(
    profile: str | None,
    region: str | None,
    endpoint_url: str | None,
    credentials: Credentials | None,
) -> Connection:
    held = credentials or Credentials(None, None, None)
    session = boto3.Session(
        profile_name=profile,
        region_name=region,
        aws_access_key_id=held.access_key,
        aws_secret_access_key=held.secret_key,
        aws_session_token=held.token,
    )
    return Connection(session, endpoint_url, profile)
