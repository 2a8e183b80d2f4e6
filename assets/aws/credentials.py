"""Which answers may hand out credentials: found among the members of outputs in botocore's models, for generate.py.

A member is looked at if its name sounds like a credential (SOUNDS), if what it is in does (`PrivateKeys.Value`), or if it
is a link of which the model says that it lets somebody in (LINK). What only sounds so stands in members.tsv. An operation
with any other such member has to be judged in credentials.tsv, or generate.py ends with an error: no newer model brings a
credential that nobody looked at.

    python3 assets/aws/credentials.py

prints what has not been judged, to be looked over.
"""

import fnmatch
import re

SOUNDS = re.compile(
    r"secret|token|passw|passphrase|pwd$|credential|private_?key|(pre_?)?shared_?key|api_?key|access_?key|key_?pair$"
    r"|stream_?key$|(app|nwk|gen_?app)_?s?(enc|int)?_?key$|key_?material|material$|plain_?text|seed$|jwt|saml|assertion"
    r"|bearer|cookie|nonce|^otp|otp_?code|pin$|wallet|session$"
    r"|(auth|authorization|activation|unlock|login|device|user|secret|one_?time|access|transfer|registration)_?code$"
    r"|auth_?(key|material|string|response|signature)|authorization_?signature|presigned|^signed|login"
    r"|device_?sample_?configuration|customer_?gateway_?configuration",
    re.I,
)
# Names that say nothing by themselves.
PLAIN = re.compile(r"(key|value|data|code|id|body|content|string|text|url|uri)s?$", re.I)
LINK = re.compile(r"(ur[li]|link|href|location)s?$", re.I)
# What a model says of links that let in whoever has them. Of those to one file in S3 it says presigned, too.
LETS_IN = re.compile(
    r"pre-?signed|signed url|single-use|one-time|temporary url|expires?\b|session token|treat .* as a secret"
    r"|(log|sign)s? ?-?in(to)?\b",
    re.I,
)
# What an operation that is called so answers with, under a plain name.
MAKES = re.compile(r"(Key|Token|Secret|Password|Code|Credentials?)s?$")
# Operations that are called after the link that they answer with, or after a session that it opens.
OPENS = re.compile(r"((Url|URL)s?(For\w+)?|Link|Login|Dashboard|SignIn|Connection|Access(Details)?|Session(AccessDetails|Endpoint))$")


def leaf(shape):
    while shape.type_name in ("list", "map"):
        shape = shape.member if shape.type_name == "list" else shape.value
    return shape


def members(shape, path=(), seen=()):
    """(path, shape) of every text in an output, and of every key that a map is said to have."""
    if shape is None or shape.name in seen:
        return
    seen = (*seen, shape.name)
    if shape.type_name == "list":
        yield from members(shape.member, path, seen)
    elif shape.type_name == "map":
        for key in getattr(shape.key, "enum", []):
            yield (*path, key), leaf(shape)
        yield from members(shape.value, path, seen)
    elif shape.type_name == "structure":
        for name, member in shape.members.items():
            if leaf(member).type_name in ("string", "blob") and not getattr(leaf(member), "enum", []):
                yield (*path, name), member
            yield from members(member, (*path, name), seen)


def is_suspect(operation, path, member):
    name = path[-1]
    if SOUNDS.search(name) or (PLAIN.match(name) and len(path) > 1 and SOUNDS.search(path[-2])):
        return True
    if PLAIN.match(name) and leaf(member).metadata.get("sensitive") and MAKES.search(operation):
        return True
    said = re.sub("<[^>]+>", "", member.documentation or "")
    return bool(LINK.search(name)) and bool(LETS_IN.search(said) or OPENS.search(operation))


class Judged:
    """credentials.tsv (service, operation, yes or no, why) and members.tsv (a pattern for names, why it is none)."""

    def __init__(self, operations, harmless):
        self.operations = {(service, operation): says == "yes" for service, operation, says, _why in operations}
        self.harmless = [pattern.lower() for pattern, _why in harmless]
        self.used, self.seen, self.unjudged = set(), set(), []

    def suspects(self, service, operation, shape):
        """Paths in the output that are not known to be harmless."""
        for path, member in members(shape):
            if not is_suspect(operation, path, member):
                continue
            names = [f"{service}:{'.'.join(path)}".lower(), ".".join(path[-2:]).lower(), path[-1].lower()]
            fits = [p for p in self.harmless if any(fnmatch.fnmatchcase(name, p) for name in names)]
            self.used.update(fits[:1])
            if not fits:
                yield ".".join(path)

    def hands_out(self, service, operation, shape):
        found = list(self.suspects(service, operation, shape))
        self.seen.add((service, operation))
        if (service, operation) not in self.operations and found:
            self.unjudged.append(f"{service}:{operation} hands out {', '.join(found[:3])}")
        return self.operations.get((service, operation), bool(found))

    def check(self):
        assert not self.unjudged, "to be judged in credentials.tsv or members.tsv:\n  " + "\n  ".join(self.unjudged)
        unknown = sorted(set(self.operations) - self.seen)
        assert not unknown, f"credentials.tsv names operations that do not exist: {unknown}"
        idle = [pattern for pattern in self.harmless if pattern not in self.used]
        assert not idle, f"members.tsv has lines that say nothing: {idle}"


def main():
    import generate
    from botocore.model import ServiceModel

    judged = Judged(generate.table("credentials.tsv"), generate.table("members.tsv"))
    for service in generate.MODELLED:
        model = ServiceModel(generate.LOADER.load_service_model(service, "service-2"), service)
        for name in model.operation_names:
            judged.hands_out(service, name, model.operation_model(name).output_shape)
    print("\n".join(sorted(judged.unjudged)))
    print([pattern for pattern in judged.harmless if pattern not in judged.used])


if __name__ == "__main__":
    main()
