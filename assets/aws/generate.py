#!/usr/bin/env python3
"""Writes catalogue.tsv: AWS's services, hosts and operations, from the models that botocore carries.

Run by hand where botocore is installed (`pip install botocore`), whenever a newer one is to be taken in:

    python3 assets/aws/generate.py

Hardly a service has code here. What a model does not say stands in tables beside this file: services.tsv (which services, and
what people call them), credentials.tsv and members.tsv (reviewed verdicts on what hands out credentials; credentials.py
finds what has to be judged), names.tsv (on what creates something, and where its name is; names.py derives the rest),
and for what has no model hosts.tsv and operations.tsv.

Hosts come from evaluating botocore's own endpoint rules for every region, with and without FIPS, dual stack and account
id, and from endpoints.json, which still knows older names. They are folded into templates, and the templates are
unfolded again and compared, so that the file says exactly what was evaluated.
"""

import itertools
import pathlib
import re
import sys

import botocore
from botocore.endpoint_provider import EndpointProvider
from botocore.exceptions import EndpointProviderError
from botocore.loaders import Loader
from botocore.model import ServiceModel
from credentials import Judged
from names import Reviewed, places, wire

HERE = pathlib.Path(__file__).resolve().parent
# Not the models that somebody may keep in ~/.aws/models.
LOADER = Loader(extra_search_paths=[Loader.BUILTIN_DATA_PATH], include_default_search_paths=False)
ACCOUNT = "123456789012"
# A VPC endpoint: its id, what tells it from others of that id, and maybe its zone.
VPCE = "vpce-0a1b2c3d-4e5f6a7b"
DOMAIN = re.compile(r"[a-z0-9.-]+")


def table(name):
    lines = (HERE / name).read_text().splitlines()
    return [line.split("\t") for line in lines if line and not line.startswith("#")]


def partitions():
    """[(id, (DNS suffix, dual-stack suffix), global region, real regions)]; no pseudo-regions such as aws-global."""
    older = {p["partition"]: set(p["regions"]) for p in LOADER.load_data("endpoints")["partitions"]}
    out = []
    for p in LOADER.load_data("partitions")["partitions"]:
        regions = set(p["regions"]) | older.get(p["id"], set())
        regions = sorted(r for r in regions if not r.endswith("-global"))
        outputs = p["outputs"]
        suffixes = (outputs["dnsSuffix"], outputs["dualStackDnsSuffix"])
        out.append((p["id"], suffixes, outputs["implicitGlobalRegion"], regions))
    return out


# --- hosts ---------------------------------------------------------------------------------------------------------

# What stands for a name that a customer chose, in what the rules are asked and in what they answer.
POINT = f"thepoint-{ACCOUNT}"
STAND_INS = [
    (f"{POINT}.op-01234567890123456.", "{point}.{outpost}."),
    (f"{POINT}.", "{point}."),
    ("thebucket.", "{bucket}."),
    ("theid.veo.", "{id}.{id}."),
    ("theid.", "{id}."),
    ("op-01234567890123456.", "{outpost}."),
]

# Parameters that a call itself gives to its endpoint rules, one set of them at a time.
ASKED = {
    "AccountId": [{"AccountId": ACCOUNT, "AccountIdEndpointMode": "preferred"}],
    "EndpointId": [{"EndpointId": "theid.veo"}],
    "EventBusArn": [{"EventBusArn": "arn:{partition}:events:{region}:{account}:event-bus/b"}],
    "KvsARN": [{"KvsARN": "arn:{partition}:cloudfront::{account}:key-value-store/k"}],
    "OutpostId": [{"OutpostId": "op-01234567890123456"}],
    "SpaceId": [{"SpaceId": "theid"}],
    "StreamARN": [{"StreamARN": "arn:{partition}:kinesis:{region}:{account}:stream/s"}],
    "UseGlobalEndpoint": [{"UseGlobalEndpoint": True}],
    "Bucket": [
        {"Bucket": "thebucket"},
        {"Bucket": "thebucket", "Accelerate": True},
        {"Bucket": "thebucket", "UseGlobalEndpoint": True},
        {"Bucket": "thebucket--use1-az4--x-s3"},
        {"Bucket": "arn:{partition}:s3:{region}:{account}:accesspoint/thepoint"},
        {"Bucket": "arn:{partition}:s3-object-lambda:{region}:{account}:accesspoint/thepoint"},
        {"Bucket": "arn:{partition}:s3-outposts:{region}:{account}:outpost/op-01234567890123456/accesspoint/thepoint"},
        {"Bucket": "arn:{partition}:s3::{account}:accesspoint:thealias.mrap"},
    ],
}


def evaluated(model, partition_of, world):
    """{(host, signing name, signing region, partition)} by the service's endpoint rules; '~' for SigV4A's region sets."""
    rules = LOADER.load_service_model(model.service_name, "endpoint-rule-set-1")
    provider = EndpointProvider(rules, LOADER.load_data("partitions"))
    known = rules["parameters"]
    choices = {"UseFIPS": [False, True], "UseDualStack": [False, True]}
    # What single operations fix by themselves (DynamoDB: SearchVectors has a host of its own).
    for name in model.operation_names:
        for fixed in model.operation_model(name).static_context_parameters:
            values = choices.setdefault(fixed.name, [None])
            if fixed.value not in values:
                values.append(fixed.value)
    choices = {name: values for name, values in choices.items() if name in known}
    asked = [{}] + [one for name, sets in ASKED.items() if name in known for one in sets]
    found = set()
    for (region, partition), values, more in itertools.product(
        partition_of.items(), list(itertools.product(*choices.values())), asked
    ):
        given = {"Region": region} | {k: v for k, v in zip(choices, values) if v is not None}
        names = {"partition": partition, "region": region, "account": ACCOUNT}
        given |= {k: v.format(**names) if isinstance(v, str) else v for k, v in more.items() if k in known}
        try:
            endpoint = provider.resolve_endpoint(**given)
        except EndpointProviderError:
            continue  # this region has no such form
        host = endpoint.url.removeprefix("https://").partition("/")[0]
        host = re.sub(r"^(thebucket--use1-az4--x-s3|thealias\.mrap)\.", "thebucket.", host)
        if not belongs(host, partition, world):
            continue
        for scheme in endpoint.properties.get("authSchemes", [{}]):
            name = scheme.get("signingName", model.signing_name)
            kind = scheme.get("name", "sigv4")
            if kind in ("sigv4", "sigv4-s3express"):
                found.add((host, name, scheme.get("signingRegion", region), partition))
            elif kind == "sigv4a":
                found.add((host, name, "~", partition))
    return found


def belongs(host, partition, world):
    """Rules may answer for a partition with the host of another one, where the service isn't."""
    suffixes, _, _ = world[partition]
    others = {suffix for other, _, _ in world.values() for suffix in other} - set(suffixes)
    elsewhere = {region for name, (_, _, regions) in world.items() if name != partition for region in regions}
    ours = any(host.endswith("." + suffix) for suffix in suffixes)
    return (ours or not any(host.endswith("." + suffix) for suffix in others)) and not elsewhere & set(host.split("."))


def prefixed(model, found):
    """The same with what single operations put before the host."""
    prefixes = set()
    for operation in map(model.operation_model, model.operation_names):
        if operation.endpoint:
            prefix = operation.endpoint["hostPrefix"].replace("{AccountId}.", ACCOUNT + ".")
            prefixes.add(re.sub(r"\{\w+\}\.", "theid.", prefix))
    return {
        (prefix + host, name, signs, partition)
        for prefix in prefixes
        for host, name, signs, partition in found
        # The one label that is not of an account's own making, S3's {RequestRoute}, belongs to one kind of its hosts.
        if not host.startswith((ACCOUNT + ".", "the"))
        and (model.service_name != "s3" or name == "s3-object-lambda")
    }


def listed(model, partition_of):
    """The same from endpoints.json, which has hosts that the rules no longer produce."""
    found = set()
    for partition in LOADER.load_data("endpoints")["partitions"]:
        service = partition["services"].get(model.endpoint_prefix, {"endpoints": {}})
        for region, endpoint in service["endpoints"].items():
            forms = [(endpoint, partition["dnsSuffix"])]
            for defaults in (partition["defaults"], service.get("defaults", {}), endpoint):
                forms += [(v, v.get("dnsSuffix", partition["dnsSuffix"])) for v in defaults.get("variants", [])]
            for form, suffix in forms:
                template = form.get("hostname") or partition["defaults"]["hostname"]
                signs = endpoint.get("credentialScope", {}).get("region", region)
                if signs not in partition_of or ("{region}" in template and region not in partition_of):
                    continue  # a pseudo-region; its host is listed under its own form
                names = {"service": model.endpoint_prefix, "region": region, "dnsSuffix": suffix}
                for host in {template.format(**names), form.get("sslCommonName", template).format(**names)}:
                    if host.endswith(("." + suffix, "." + partition["dnsSuffix"])):  # not localhost:8000
                        found.add((host, model.signing_name, signs, partition["partition"]))
    return found


def known_by_hand(service, world):
    """Hosts that no model and no rule tells, from hosts.tsv."""
    found = set()
    for _, template, name, places, _source in (line for line in table("hosts.tsv") if line[0] == service):
        for partition, (suffixes, global_region, regions) in world.items():
            if places != "*" and partition not in places.split():
                continue
            for kind, suffix in zip(("{dns}", "{dual}"), suffixes):
                host = template.replace(kind, suffix).replace("{account}", ACCOUNT).replace("{vpce}", VPCE)
                for stand_in, label in STAND_INS:
                    host = host.replace(label, stand_in)
                for region in regions if "{region}" in host else [None]:
                    if "{d" not in host:
                        found.add((host.replace("{region}", region or ""), name, region or global_region, partition))
    return found


def of_any_region(found, partition_of):
    """S3's global endpoint takes the region that a bucket is in, wherever that is: boto3's presigned URLs are signed so."""
    return {
        (host, name, region, partition)
        for host, name, _, partition in found
        if host.removeprefix("thebucket.") == "s3.amazonaws.com"
        for region in partition_of
        if partition_of[region] == partition
    }


def at_vpc_endpoints(service, found, world):
    """The same at interface VPC endpoints, which are named after the host that they stand for: what is behind
    api.ecr.us-east-1.amazonaws.com is at vpce-1a2b-3c4d.api.ecr.us-east-1.vpce.amazonaws.com ("Access an AWS service using
    an interface VPC endpoint", DNS names, in AWS's guide to PrivateLink).

    For every service, as ever more of them have some, and these names are AWS's to give: what others offer at endpoints
    has vpce-svc-… for the service. S3 has forms of its own, in hosts.tsv.
    """
    if service in ("s3", "s3control"):
        return set()
    out = set()
    for host, name, signs, partition in found:
        suffixes, _, regions = world[partition]
        for suffix in suffixes:
            labels, _, region = host.removesuffix("." + suffix).rpartition(".")
            ours = host.endswith("." + suffix) and region == signs and region in regions
            if ours and re.fullmatch(r"[a-z][a-z0-9-]*(\.[a-z][a-z0-9-]*)?", labels) and not labels.startswith("the"):
                out.add((f"{VPCE}.{labels}.{region}.vpce.{suffixes[0]}", name, signs, partition))
    return out


def fold(found, world, service):
    """{(template, signing name, signing region): places}, and the proof that it unfolds to just what was found.

    In a template {region}, {account}, {vpce} and {zone} stand for themselves, {dns} and {dual} for the partition's suffixes, and
    what begins it may be a name that a customer chose. The signing region is '=' where it is the host's own, '*' where
    it is the partition's global one, '?' for any, '~' for the region sets of SigV4A. A place is a partition, or a region,
    or '*' for all partitions.
    """
    folded, any_region = {}, {}
    for host, name, signs, partition in found:
        any_region.setdefault((host, name, partition), set()).add(signs)
    for host, name, signs, partition in found:
        assert DOMAIN.fullmatch(host), host
        suffixes, global_region, regions = world[partition]
        kinds = [("." + k, "." + s) for k, s in zip(("{dns}", "{dual}"), suffixes) if host.endswith("." + s)]
        kind, suffix = kinds[0] if kinds else ("", "")
        body, prefix = host.removesuffix(suffix), ""
        for stand_in, label in STAND_INS:
            if body.startswith(stand_in) and not prefix:
                body, prefix = body.removeprefix(stand_in), label
        labels, region = body.split("."), None
        for i, label in enumerate(labels):
            dashed = label.removeprefix("s3-")
            if any(dashed in regions for _, _, regions in world.values()):
                assert region is None and dashed in regions, host
                labels[i], region = label.removesuffix(dashed) + "{region}", dashed
            elif label == ACCOUNT:
                labels[i] = "{account}"
            elif label == VPCE:
                labels[i] = "{vpce}"
            elif label.endswith("-use1-az4"):
                labels[i] = label.removesuffix("use1-az4") + "{zone}"
        if not region and any_region[host, name, partition] >= set(regions) and len(regions) > 1:
            signs = "?"
        elif signs != "~":
            signs = "=" if signs == region else "*" if not region and signs == global_region else signs
        folded.setdefault((prefix + ".".join(labels) + kind, name, signs), set()).add(region or partition)
    for (template, _, _), places in folded.items():
        for partition, (_, _, regions) in world.items():
            if "{region}" in template and set(regions) <= places:
                places -= set(regions)
                places.add(partition)
        if set(world) <= places:
            places -= set(world)
            places.add("*")
    assert unfold(folded, world) == found, (service, sorted(unfold(folded, world) ^ found)[:20])
    return folded


def unfold(folded, world):
    found = set()
    for (template, name, signs), places in folded.items():
        for partition, (suffixes, global_region, regions) in world.items():
            host = template.replace("{dns}", suffixes[0]).replace("{dual}", suffixes[1]).replace("{account}", ACCOUNT)
            host = host.replace("{zone}", "use1-az4").replace("{vpce}", VPCE)
            for stand_in, label in STAND_INS:
                if host.startswith(label):
                    host = stand_in + host.removeprefix(label)
            whole = partition in places or "*" in places
            if "{region}" not in template and whole:
                for one in regions if signs == "?" else [global_region if signs == "*" else signs]:
                    found.add((host, name, one, partition))
            elif "{region}" in template:
                for region in regions:
                    if whole or region in places:
                        sign = region if signs == "=" else signs
                        found.add((host.replace("{region}", region), name, sign, partition))
    return found


# --- operations ----------------------------------------------------------------------------------------------------


def naming(model, operation, reviewed):
    """What the line of an operation says of the name of what it creates; nothing if it creates nothing."""
    found = places(model.service_name, operation.name, operation.input_shape, reviewed)
    if isinstance(found, str):
        return ["untold"] if found == "untold" else []
    protocols = [model.metadata["protocol"], *model.metadata.get("protocols", [])]
    written = [[wire(protocol, operation.input_shape, place) for place in found] for protocol in protocols]
    assert all(one == written[0] for one in written), (model.service_name, operation.name, written)
    return [f"also={place[1:]}" if place.startswith("~") else f"name={place}" for place in written[0]]


def operations(model, judged, reviewed_names):
    rest = model.metadata["protocol"].startswith("rest")
    bearer = "smithy.api#httpBearerAuth"
    of_service = set(model.metadata.get("auth", []))
    if model.metadata["signatureVersion"] == "bearer":
        of_service = {bearer}
    for name in model.operation_names:
        operation = model.operation_model(name)
        auth = set(operation.auth or of_service)
        flags = {
            "credentials": judged.hands_out(model.service_name, name, operation.output_shape),
            "unsigned": operation.auth_type == "none" or "smithy.api#noAuth" in auth,
            "bearer": bearer in auth and any("sigv4" in one for one in auth),
            "bearer-only": auth == {bearer},
            "unsigned-body": operation.auth_type == "v4-unsigned-body",
            "sends-events": operation.has_event_stream_input,
            "answers-events": operation.has_event_stream_output,
        }
        remarks = [flag for flag, holds in flags.items() if holds] + naming(model, operation, reviewed_names)
        line = ["op", name, " ".join(remarks) or "-"]
        if rest:
            line += [operation.http["method"], route(operation.http["requestUri"])]
        yield line, operation


def told_apart(service, pairs):
    """Adds to routes that several operations share what else tells them apart: required query keys and headers."""
    shared = {}
    for line, operation in pairs:
        if len(line) == 5:
            shared.setdefault((line[3], re.sub(r"\{[\w-]+", "{", line[4])), []).append((line, operation))
    for same in (group for group in shared.values() if len(group) > 1):
        for line, operation in same:
            members = operation.input_shape.members if operation.input_shape else {}
            required = [members[name].serialization for name in (operation.input_shape.required_members if members else [])]
            keys = [s["name"] for s in required if s.get("location") == "querystring"]
            headers = [s["name"].lower() for s in required if s.get("location") == "header"]
            if keys:
                line[4] += ("&" if "?" in line[4] else "?") + "&".join(keys)
            # The one header that S3 tells CopyObject from PutObject by.
            line += [f"header {name}" for name in headers if name == "x-amz-copy-source"]
            # Directory buckets are listed by a host of their own.
            line += ["signed s3express"] if operation.name == "ListDirectoryBuckets" else []
    for line, operation in pairs:
        # The older shape of the same request: it is called by its newer name.
        if operation.deprecated and any(
            other is not line and other[3:] == line[3:] for other, _ in pairs if len(other) >= 5
        ) and len(line) >= 5:
            line.append("never")
    return [line for line, _ in pairs]


def route(uri):
    """The path template; a label must fill a whole segment, as the matcher expects."""
    path, _, query = uri.partition("?")
    for segment in path.split("/"):
        assert re.fullmatch(r"\{[\w-]+\+?\}|[^{}]*", segment), uri
    return path + ("?" + query if query else "")


def wire_protocols(model):
    names = {"json": f"json-{model.metadata.get('jsonVersion', '1.0')}", "smithy-rpc-v2-cbor": "cbor"}
    first = model.metadata["protocol"]
    others = [p for p in model.metadata.get("protocols", []) if p != first]
    # Clients from before it had another protocol go on to speak this one, and all clients know its error codes.
    if "awsQueryCompatible" in model.metadata and "query" not in others:
        others.append("query")
    return [names.get(p, p) for p in [first, *others]]


def xml_namespace(model):
    """Where the answers' XML lives: said once for query services, at each input for REST ones."""
    if "xmlNamespace" in model.metadata:
        return model.metadata["xmlNamespace"]
    spaces = {
        operation.input_shape.serialization["xmlNamespace"]["uri"]
        for operation in map(model.operation_model, model.operation_names)
        if operation.input_shape is not None and "xmlNamespace" in operation.input_shape.serialization
    }
    assert len(spaces) <= 1, (model.service_name, spaces)
    return spaces.pop() if spaces else "-"


# Services that have no model here, and their operations; and what models leave out of theirs.
MODELLED = set(LOADER.list_available_services("service-2"))
OWN = {service: [] for service, *_ in table("operations.tsv")}
for own, *operation in table("operations.tsv"):
    OWN[own].append(["op", *operation])

# Methods of a customer's API that apigatewaymanagementapi's clients call below the stage.
STAGED = "/{stage}/@connections/{connectionId}"

# What SDKs send as a form, since its query may be long, although its model says GET.
AS_FORM = {"cloudsearchdomain": "Search"}


def describe(service, names):
    """(category, name, line about it) as people know it; a service that nobody has described yet is told."""
    if service in names:
        return names[service]
    model = ServiceModel(LOADER.load_service_model(service, "service-2"), service)
    name = re.sub(r"^(Amazon|AWS) ?", "", model.metadata["serviceFullName"])
    print(f"  {service} is not in services.tsv: it is called {name}", file=sys.stderr)
    return ("other", name, f"The interface of {name}.")


def modelled(service, partition_of, world, judged, reviewed_names):
    """The lines of a service that has a model, and its hosts."""
    model = ServiceModel(LOADER.load_service_model(service, "service-2"), service)
    found = evaluated(model, partition_of, world) | listed(model, partition_of) | known_by_hand(service, world)
    found |= prefixed(model, found)
    if service == "s3":
        found |= of_any_region(found, partition_of)
    found |= at_vpc_endpoints(service, found, world)
    out = [["protocol", *wire_protocols(model)]]
    if model.metadata["signatureVersion"].startswith("s3"):
        out.append(["path", "once"])
    if "aws.auth#sigv4a" in model.metadata.get("auth", []) or any(signs == "~" for _, _, signs, _ in found):
        out.append(["sigv4a", "yes"])
    if "h2" in model.metadata.get("protocolSettings", {}):
        out.append(["h2", "yes"])
    if "targetPrefix" in model.metadata:
        out.append(["target", model.metadata["targetPrefix"]])
    if any(protocol in ("query", "ec2", "rest-xml") for protocol in wire_protocols(model)):
        out.append(["xml", model.api_version, xml_namespace(model)])
    lines = told_apart(service, list(operations(model, judged, reviewed_names)))
    if service == "apigatewaymanagementapi":
        lines += [[*line[:4], STAGED] for line in lines]
    # All of the query is in the form then, and what the model fixes of it, too.
    lines += [[*line[:3], "POST", line[4].partition("?")[0]] for line in lines if line[1] == AS_FORM.get(service)]
    return out, found, lines + OWN.get(service, [])


def main():
    out = [
        ["# Generated by assets/aws/generate.py. What the lines mean is told in src/cloud/aws/catalogue.rs."],
        ["botocore", botocore.__version__],
    ]
    world = {}
    for partition, suffixes, global_region, regions in partitions():
        out.append(["partition", partition, *suffixes, global_region, " ".join(regions)])
        world[partition] = (suffixes, global_region, regions)
    partition_of = {region: partition for partition, (_, _, regions) in world.items() for region in regions}
    judged = Judged(table("credentials.tsv"), table("members.tsv"))
    reviewed_names = Reviewed(table("names.tsv"))
    names = {service: about for service, *about in table("services.tsv")}
    services = sorted(MODELLED | set(OWN))
    body, domains, hosts, count = [], set(), 0, 0
    for service in services:
        category, name, about = describe(service, names)
        if service not in MODELLED:
            details, found, lines = [["protocol", "rest-json"]], known_by_hand(service, world), OWN[service]
            found |= at_vpc_endpoints(service, found, world)
            if any("sends-events" in line[2] for line in lines):
                details.append(["h2", "yes"])
        else:
            details, found, lines = modelled(service, partition_of, world, judged, reviewed_names)
        hosts += len(found)
        count += len(lines)
        body += [["service", service, category, name, about], *details]
        for (template, signs, region), where in sorted(fold(found, world, service).items()):
            body.append(["host", template, signs, region, " ".join(sorted(where))])
            if not template.endswith("}"):
                domains.add(template.rpartition("}.")[2])
        body += lines
    out += [["domain", domain] for domain in sorted(domains)]
    judged.check()
    assert not reviewed_names.unused(), f"names.tsv has lines that say nothing: {reviewed_names.unused()}"
    unknown = set(names) - set(services)
    assert not unknown, f"services.tsv names services that do not exist: {sorted(unknown)}"
    text = "".join("\t".join(line) + "\n" for line in out + body)
    (HERE / "catalogue.tsv").write_text(text)
    print(
        f"{len(services)} services, {hosts} hosts, {count} operations, {len(text)} bytes, "
        f"botocore {botocore.__version__}",
        file=sys.stderr,
    )


if __name__ == "__main__":
    main()
