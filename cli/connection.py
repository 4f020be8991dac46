"""The connection to AWS: a boto3 session and, if given, another endpoint."""

from dataclasses import dataclass
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
class Connection:
    """Makes the clients of a command. Safe to share between threads."""

    session: boto3.Session
    endpoint_url: str | None = None
    """None: the endpoint that the environment or the profile names, or else AWS's own."""

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
        return cls(session, endpoint_url or None)

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
