#!/usr/bin/env python3
"""Writes catalogue.tsv: AWS's services, hosts and operations, from the models that botocore carries.

Run by hand where botocore is installed (`pip install botocore`), whenever a newer one is to be taken in:

    python3 assets/aws/generate.py

No service has code here. What a model does not say stands in two tables beside this file: services.tsv (which services,
and what people call them) and credentials.tsv (reviewed verdicts on what hands out credentials).

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

HERE = pathlib.Path(__file__).resolve().parent
# Not the models that somebody may keep in ~/.aws/models.
LOADER = Loader(extra_search_paths=[Loader.BUILTIN_DATA_PATH], include_default_search_paths=False)
ACCOUNT = "123456789012"
DOMAIN = re.compile(r"[a-z0-9.-]+")

# Output members whose name says that they carry a credential, unless they are about one (its age, its ARN, a page mark).
CREDENTIAL = re.compile(
    r"secret(access)?keys?$|privatekey|password(data)?$|(session|security|auth|authorization|access|refresh|id|bearer)token$"
    r"|^token(value)?$|clientsecret$",
    re.I,
)
# Shapes that only repeat what a caller set, masked.
MASKED = re.compile(r"^PendingModifiedValues$")


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


def evaluated(model, regions):
    """{(host, signing name, signing region, partition)} by the service's endpoint rules."""
    rules = LOADER.load_service_model(model.service_name, "endpoint-rule-set-1")
    provider = EndpointProvider(rules, LOADER.load_data("partitions"))
    known = rules["parameters"]
    choices = {"UseFIPS": [False, True], "UseDualStack": [False, True]}
    if "AccountId" in known:
        choices["AccountId"] = [None, ACCOUNT]
    # What single operations fix by themselves (DynamoDB: SearchVectors has a host of its own).
    for name in model.operation_names:
        for fixed in model.operation_model(name).static_context_parameters:
            values = choices.setdefault(fixed.name, [None])
            if fixed.value not in values:
                values.append(fixed.value)
    choices = {name: values for name, values in choices.items() if name in known}
    found = set()
    for region, partition in regions.items():
        for values in itertools.product(*choices.values()):
            given = {"Region": region} | {k: v for k, v in zip(choices, values) if v is not None}
            if given.get("AccountId"):
                given["AccountIdEndpointMode"] = "preferred"
            try:
                endpoint = provider.resolve_endpoint(**given)
            except EndpointProviderError:
                continue  # this region has no such form
            host = endpoint.url.removeprefix("https://")
            schemes = endpoint.properties.get("authSchemes", [{}])
            for scheme in schemes:
                if scheme.get("name", "sigv4") == "sigv4":
                    name = scheme.get("signingName", model.signing_name)
                    found.add((host, name, scheme.get("signingRegion", region), partition))
    return found


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


def fold(found, world, service):
    """{(template, signing name, signing region): places}, and the proof that it unfolds to just what was found.

    In a template {region} and {account} stand for a label, {dns} and {dual} for the partition's suffixes. The signing
    region is '=' where it is the host's own, '*' where it is the partition's global one. A place is a partition, or a
    region, or '*' for all partitions.
    """
    folded = {}
    for host, name, signs, partition in found:
        assert DOMAIN.fullmatch(host), host
        suffixes, global_region, _ = world[partition]
        kind, suffix = next((k, s) for k, s in zip(("{dns}", "{dual}"), suffixes) if host.endswith("." + s))
        labels, region = host.removesuffix("." + suffix).split("."), None
        for i, label in enumerate(labels):
            if any(label in regions for _, _, regions in world.values()):
                assert region is None and label in world[partition][2], host
                labels[i], region = "{region}", label
            elif label == ACCOUNT:
                labels[i] = "{account}"
        signs = "=" if signs == region else "*" if not region and signs == global_region else signs
        folded.setdefault((".".join([*labels, kind]), name, signs), set()).add(region or partition)
    for (template, _, _), places in folded.items():
        for partition, (_, _, regions) in world.items():
            if "{region}" in template and set(regions) <= places:
                places -= set(regions)
                places.add(partition)
        if set(world) <= places:
            places -= set(world)
            places.add("*")
    assert unfold(folded, world) == found, (service, unfold(folded, world) ^ found)
    return folded


def unfold(folded, world):
    found = set()
    for (template, name, signs), places in folded.items():
        for partition, (suffixes, global_region, regions) in world.items():
            host = template.replace("{dns}", suffixes[0]).replace("{dual}", suffixes[1]).replace("{account}", ACCOUNT)
            whole = partition in places or "*" in places
            if "{region}" not in template and whole:
                found.add((host, name, global_region if signs == "*" else signs, partition))
            elif "{region}" in template:
                for region in regions:
                    if whole or region in places:
                        sign = region if signs == "=" else signs
                        found.add((host.replace("{region}", region), name, sign, partition))
    return found


# --- operations ----------------------------------------------------------------------------------------------------


def carries_credentials(shape, seen=()):
    """The path of the first output member that carries a credential, or None."""
    if shape is None or shape.name in seen:
        return None
    seen = (*seen, shape.name)
    if shape.type_name == "list":
        return carries_credentials(shape.member, seen)
    if shape.type_name == "map":
        return carries_credentials(shape.value, seen)
    if shape.type_name != "structure":
        return None
    for name, member in shape.members.items():
        if MASKED.search(name):
            continue
        if CREDENTIAL.search(name) and member.type_name in ("string", "blob"):
            return name
        inner = carries_credentials(member, seen)
        if inner:
            return f"{name}.{inner}"
    return None


def operations(model, reviewed):
    rest = model.metadata["protocol"].startswith("rest")
    for name in model.operation_names:
        operation = model.operation_model(name)
        verdict = carries_credentials(operation.output_shape)
        if (model.service_name, name) in reviewed:
            says, why = reviewed.pop((model.service_name, name))
            print(f"  {model.service_name}:{name}: {says} by review ({why}); the rule says {verdict}", file=sys.stderr)
            verdict = says == "yes"
        elif verdict:
            print(f"  {model.service_name}:{name} hands out {verdict}", file=sys.stderr)
        line = ["op", name, "credentials" if verdict else "-"]
        if rest:
            line += [operation.http["method"], route(operation.http["requestUri"])]
        yield line


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
    reviewed = {(service, name): (says, why) for service, name, says, why in table("credentials.tsv")}
    hosts = count = 0
    for service, name, about in sorted(table("services.tsv")):
        model = ServiceModel(LOADER.load_service_model(service, "service-2"), service)
        found = evaluated(model, partition_of) | listed(model, partition_of)
        hosts += len(found)
        out.append(["service", service, name, about])
        out.append(["protocol", *wire_protocols(model)])
        if model.metadata["signatureVersion"].startswith("s3"):
            out.append(["path", "once"])
        if "targetPrefix" in model.metadata:
            out.append(["target", model.metadata["targetPrefix"]])
        if model.metadata["protocol"] in ("query", "ec2", "rest-xml"):
            out.append(["xml", model.api_version, xml_namespace(model)])
        for (template, signs, region), where in sorted(fold(found, world, service).items()):
            out.append(["host", template, signs, region, " ".join(sorted(where))])
        lines = list(operations(model, reviewed))
        count += len(lines)
        out += lines
    assert not reviewed, f"credentials.tsv names operations that do not exist: {sorted(reviewed)}"
    text = "".join("\t".join(line) + "\n" for line in out)
    (HERE / "catalogue.tsv").write_text(text)
    print(f"{hosts} hosts, {count} operations, {len(text)} bytes, botocore {botocore.__version__}", file=sys.stderr)


if __name__ == "__main__":
    main()
