"""One harmless call for each of the nine services, and the words of each protocol for one and the same refusal."""

from collections.abc import Callable
from typing import Any

from .clients import Refusal, Way, refusal

LISTS: dict[str, tuple[str, dict[str, str]]] = {
    "apigateway": ("get_rest_apis", {}),  # rest-json
    "dynamodb": ("list_tables", {}),  # json 1.0
    "ecs": ("list_clusters", {}),  # json 1.1
    "glacier": ("list_vaults", {"accountId": "-"}),  # rest-json
    "lambda": ("list_functions", {}),  # rest-json
    "redshift": ("describe_clusters", {}),  # query
    "route53": ("list_hosted_zones", {}),  # rest-xml
    "ses": ("list_identities", {}),  # query
    "sns": ("list_topics", {}),  # query
}
OPERATIONS = {
    "apigateway": "GetRestApis",
    "dynamodb": "ListTables",
    "ecs": "ListClusters",
    "glacier": "ListVaults",
    "lambda": "ListFunctions",
    "redshift": "DescribeClusters",
    "route53": "ListHostedZones",
    "ses": "ListIdentities",
    "sns": "ListTopics",
}
# One service for each way to word an error.
ONE_PER_PROTOCOL = ["dynamodb", "ecs", "lambda", "route53", "sns"]
SPEAKS_XML = {"redshift", "route53", "ses", "sns"}


def lister(way: Way, service: str, before_send: Callable[[Any], None] | None = None) -> Callable[[], Any]:
    """The call, ready to be made; `before_send` changes the request after it was signed."""
    client = way.boto3(service)
    if before_send:

        def change(request: Any, **_: Any) -> None:
            before_send(request)

        client.meta.events.register("before-send", change)
    name, parameters = LISTS[service]
    return lambda: getattr(client, name)(**parameters)


def call(way: Way, service: str) -> Any:
    return lister(way, service)()


def refused(way: Way, service: str, before_send: Callable[[Any], None] | None = None) -> Refusal:
    """Makes the call, which has to fail at the gateway: once, with a request id, and not as HTML."""
    got = refusal(lister(way, service, before_send))
    assert got.retries == 0, "an SDK must not try again what no retry can mend"
    assert got.request_id
    return got


def worded(service: str, in_json: str, in_xml: str) -> str:
    return in_xml if service in SPEAKS_XML else in_json
