"""What an ordinary AWS client is given: a proxy address, a CA file, a key and its secret. Nothing else."""

import functools
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import boto3
import botocore.session
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.loaders import Loader
from botocore.utils import PRIORITY_ORDERED_SUPPORTED_PROTOCOLS

from .cloud import Key

REGION = "us-east-1"
# The machine may preset any of these, for itself.
PRESET = re.compile(
    r"AWS_|BOTO|.*_PROXY$|.*(CA_BUNDLE|CA_CERTS|CERT_FILE|CERT_DIR|SSL_CAINFO|ROOTS_FILE).*", re.IGNORECASE
)
CBOR = "smithy-rpc-v2-cbor"
CA_VARIABLES = ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS")


@dataclass(frozen=True)
class Way:
    """A way to the cloud."""

    proxy_url: str
    ca: Path
    key: Key

    def environment(self) -> dict[str, str]:
        """All that a client program sees of the world."""
        return {
            **without_presets(os.environ),
            **dict.fromkeys(CA_VARIABLES, str(self.ca)),
            "HOME": str(self.ca.parent),  # no settings of the person who runs the tests
            "HTTPS_PROXY": self.proxy_url,
            "AWS_ACCESS_KEY_ID": self.key.id,
            "AWS_SECRET_ACCESS_KEY": self.key.secret,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_REGION": REGION,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def with_key(self, key: Key) -> "Way":
        return Way(self.proxy_url, self.ca, key)

    def boto3(self, service: str, region: str = REGION, endpoint_url: str | None = None, **config: Any):
        with environment(self.environment()):
            core = botocore.session.get_session()
            core.register_component("data_loader", loader())
            session = boto3.Session(botocore_session=core, region_name=region)
            return session.client(service, endpoint_url=endpoint_url, config=Config(**config) if config else None)


@functools.cache
def loader() -> Loader:
    """What reads the services' models, and keeps them: some are of megabytes, and a suite makes hundreds of clients."""
    return botocore.session.get_session().get_component("data_loader")


def without_presets(variables: Any) -> dict[str, str]:
    return {name: value for name, value in variables.items() if not PRESET.match(name)}


@contextmanager
def environment(variables: dict[str, str]) -> Iterator[None]:
    with mock.patch.dict(os.environ, variables, clear=True):
        yield


@contextmanager
def speaking(protocol: str) -> Iterator[None]:
    """Clients that are made meanwhile speak it where their service has it, before botocore's own first choice."""
    with mock.patch(
        "botocore.model.PRIORITY_ORDERED_SUPPORTED_PROTOCOLS", (protocol, *PRIORITY_ORDERED_SUPPORTED_PROTOCOLS)
    ):
        yield


@dataclass
class Refusal:
    """A typed error of an SDK, as its user sees it."""

    type: str
    status: int
    code: str
    message: str
    request_id: str
    retries: int
    headers: dict[str, str]


def refusal(call, *arguments: Any, **parameters: Any) -> Refusal:
    """Makes a call of boto3 that has to fail with a typed error."""
    try:
        answer = call(*arguments, **parameters)
    except ClientError as error:
        metadata = error.response["ResponseMetadata"]
        return Refusal(
            type(error).__name__,
            metadata["HTTPStatusCode"],
            error.response["Error"]["Code"],
            error.response["Error"].get("Message", ""),
            metadata.get("RequestId", ""),
            metadata.get("RetryAttempts", 0),
            metadata.get("HTTPHeaders", {}),
        )
    raise AssertionError(f"was let through: {answer}")
