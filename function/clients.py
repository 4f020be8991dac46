"""Clients of DynamoDB and S3, made fast, because a cold start waits for them.

They are boto3's, made by its core: importing boto3 itself would cost a sixth of a cold start.
"""

from collections.abc import Callable
from typing import Any

from botocore.config import Config
from botocore.loaders import Loader
from botocore.session import get_session


class _Loader(Loader):
    """Knows its services. botocore's own loader looks for them in all of its 400 folders."""

    def list_available_services(self, type_name: str) -> list[str]:
        """Return the services that a client can be made for."""
        del type_name
        return ["dynamodb", "s3"]


def connector(config: Config) -> Callable[[str], Any]:
    """Return a function that makes the client of a service with this configuration."""
    session = get_session()
    session.register_component("data_loader", _Loader())
    return lambda service: session.create_client(service, config=config)
