"""What each operation creates, and where its request says the name: derived from botocore's models, for generate.py.

An operation creates if its verb says so (CREATES), or if nobody has said what its verb does. Then the name is looked for
among the members of its input; where none is found, the name is untold, and rules about names refuse the operation. What
the models can't tell stands in names.tsv, reviewed.

    python3 assets/aws/names.py [SERVICE...]

prints what was found, to be looked over.
"""

import fnmatch
import re

# What makes something, or puts it by its name whether it was there or not.
CREATES = """
    Allocate Build Claim Clone Compose Copy Create Define Deploy Import Install Issue Launch Provision Purchase Put
    Register Replicate Request Reserve Restore Save Setup Upload Upsert
""".split()

# Those among them that say that it was not there: an id in the request is then its own.
MAKES = {"Create", "Register", "Restore", "Import"}

# Work that begins, is done, and is over. It is no resource, but where it is given a name, the name counts.
WORKS = "Run Schedule Start Submit".split()
WORK = re.compile(
    r"(Analysis|Assessment|Build|Deployment|Execution|Export|Import|Job|Query|Recommendation|Run|Scan|Session|Task|Test)s?$"
)

# What changes something that is there. It may give it another name.
CHANGES = """
    Change Configure Convert Edit Modify Move Override Promote Rename Replace Reset Set Transfer Update Upgrade
""".split()

# What reads, ends, switches, moves data or ties together what is there.
NOTHING = """
    Abort Accept Acknowledge Activate Add Advertise Agentic Allow Amend Analyze Apply Approve Archive Assign Associate
    Assume Attach Authorize Autocomplete Backtrack Begin Calculate Cancel Carrier Channel Chat Check Checkout Checkpoint
    Classify Clear Close Commit Compare Complete Confirm Connect Contains Continue Converse Count Deactivate Deauthorize
    Decapsulate Decline Decode Decrease Decrypt Delete Deliver Deny Deprecate Deprovision Deregister Derive Describe
    Detach Detect Disable Disallow Disassociate Discard Disconnect Discover Dismiss Dispose Dissociate Distribute Domain
    Download Drain Enable Encapsulate Encrypt End Enter Estimate Evaluate Evict Exchange Execute Exit Expire Export Extend
    Failover Filter Finalize Flush Forecast Forget Forgot Generate
    Geocode Get Global Grant Group Head Increase Index Infer Ingest
    Initialize Initiate Insight Introspect Invalidate Invite
    Invoke Is Join Label Leave List Lock Logout Lookup Manage Mark Merge Meter
    Migrate Monitor Notify Open Opt Optimize Pause Peer Phone Poll Populate Post Predict Prepare Preview Probe Process
    Provide Publish Purge Push Query Re Reboot Rebalance Rebuild Recall Receive Recognize Record Redact Redeem Redrive Refresh
    Regenerate Reject Release Reload Remove Renew Render Reorder Report Rerank Rescore Resend Resize Resolve Respond
    Restart Resume Resync Retire Retrieve Retry Return Reverse Revoke Rollback Rotate Sample Scan Search Select Send
    Share Shrink
    Shutdown Sign Signal Simulate Skip Snap Split Stop Subscribe Suggest Suspend Swap Switchover Sync Synchronize
    Synthesize Tag Take Terminate Test Transact Translate Unarchive Unassign Undeploy Undeprecate Ungroup Unlabel Unlink
    Unlock Unmonitor Unpeer Unregister Unshare Unsubscribe Untag Validate Verify View Vote Withdraw Write
""".split()

# Words before the verb proper.
BEFORE = {"Admin", "Batch", "Bulk"}

# What is put to something that is there, if it has no name of its own.
SETTING = re.compile(
    r"(Acl|Attributes?|Boundary|Concurrency|Configs?|Configurations?|Cors|Encryption|Logging|Logs|Notification|Options?|Permissions?"
    r"|Policy|Preferences?|Properties|Protection|Publishing|Settings?|Status|Tagging|Tags|Version|Versioning|Window)(Data|For[A-Z]\w+)?$"
)

# What is no thing of its own if it has no name: it ties others together, is one more state of one, or is only an answer.
NO_THING = re.compile(
    r"(Association|Authorization|Assignment|Membership|Permission|Tag|Token|U(rl|RL)|Version)s?(V\d+)?$"
)

# Those that are called by the very noun, without Name.
BARE = {
    "accountalias",
    "alias",
    "bucket",
    "domain",
    "emailaddress",
    "emailidentity",
    "keyspace",
    "namespace",
    "packagegroup",
    "repository",
    "rolealias",
}

# How a request calls what it creates, in the order of how sure that is.
ENDINGS = ("name", "identifier", "id")


def words(text):
    return re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+", text)


def verb_and_noun(operation):
    parts = re.match(r"([A-Z][a-z]+)(.*)", operation)
    verb, noun = parts.groups() if parts else (operation, "")
    if verb in BEFORE and re.match(r"[A-Z][a-z]+", noun):
        return verb_and_noun(noun)
    return verb, noun


def plain(name):
    return name.replace("_", "").replace("-", "").lower()


def singular(noun):
    if noun.endswith("ies"):
        return noun[:-3] + "y"
    if re.search(r"(ss|x|ch|sh)es$", noun):
        return noun[:-2]
    return noun[:-1] if noun.endswith("s") and not noun.endswith("ss") else noun


def nouns(noun):
    """The noun in the forms that members are called by: without what it is made from, and without its version."""
    whole = re.sub(r"(From|With|Using|In|To|For|By)[A-Z].*$", "", noun)
    whole = re.sub(r"V\d+$", "", whole)
    if not whole:
        return []
    forms = [noun, whole, singular(whole)]
    parts = words(whole)
    forms += ["".join(parts[i:]) for i in range(1, len(parts))]
    return list(dict.fromkeys(plain(form) for form in forms if form))


def is_name(shape):
    return shape.type_name == "string" and not getattr(shape, "is_document_type", False)


def is_made_id(name, shape):
    """An id in the path is mostly one that AWS made before; one that callers choose is reviewed."""
    return shape.serialization.get("location") == "uri" and re.search(r"([a-z]I|^i)d$", name)


def among(members, noun, makes, bare=True):
    """The members that hold the name of a noun: those that are called by it, and the one that is called name."""
    by_plain = {plain(name): name for name, shape in members.items() if is_name(shape) and not is_made_id(name, shape)}
    forms = nouns(noun)
    found = []
    for number, form in enumerate(forms):
        # An id of something else than just what is created is mostly that of what it belongs to.
        endings = ENDINGS[: 3 if makes and number == 0 else 2 if makes else 1]
        hits = [by_plain[form + end] for end in endings if form + end in by_plain]
        if makes and form in by_plain and form in BARE and number == 0:
            hits.append(by_plain[form])
        if hits:
            found = hits
            break
    if bare and "name" in by_plain and by_plain["name"] not in found:
        found.append(by_plain["name"])
    return found or [by_plain[n] for n in ("displayname",) if n in by_plain and bare]


def inside(members, noun, makes):
    """The same in a structure that describes the noun, or in each item of a list of them."""
    ends = (
        "",
        "input",
        "config",
        "configuration",
        "definition",
        "request",
        "specification",
        "properties",
        "details",
        "data",
    )
    forms = nouns(noun)
    for name, shape in members.items():
        if shape.type_name == "structure" and plain(name) in [form + end for form in forms for end in ends]:
            hits = among(shape.members, noun, makes)
            if hits:
                return [f"{name}.{hit}" for hit in hits]
    for name, shape in members.items():
        if shape.type_name != "list":
            continue
        called = plain(singular(name))
        if called in [form + end for form in forms for end in ("", "entry", "request", "input", "name")] or called in (
            "entry",
            "item",
            "request",
        ):
            if shape.member.type_name == "structure":
                hits = among(shape.member.members, singular(noun), makes)
                if hits:
                    return [f"{name}[].{hit}" for hit in hits]
            elif called in [form + "name" for form in forms] and is_name(shape.member):
                return [f"{name}[]"]
    return []


def tag_places(service, operation, members, noun):
    """EC2's resources are called by their tag Name."""
    if service != "ec2" or "TagSpecifications" not in members:
        return []
    kinds = members["TagSpecifications"].member.members["ResourceType"].enum
    kind = "-".join(words(singular(noun))).lower()
    out = ["~TagSpecifications[].Tags[Key=Name].Value"]
    if kind in kinds:
        out.insert(0, f"TagSpecifications[ResourceType={kind}].Tags[Key=Name].Value")
    return out


def renames(operation, verb, noun, shape):
    """Members of what changes something that give it a name."""
    members = shape.members
    found = [
        name
        for name, member in members.items()
        if is_name(member) and re.search(r"^new.*(name|identifier|id)$", plain(name))
    ]
    if found:
        return found
    by_plain = {plain(name): name for name, member in members.items() if is_name(member)}
    identified = [
        name
        for name, member in members.items()
        if (name in shape.required_members or member.serialization.get("location") == "uri")
        and re.search(r"(id|arn|identifier|resourcename)$", plain(name))
    ]
    if identified:
        # An identifier beside an ARN is a new one; beside nothing else it says which is meant.
        arns = any(plain(name).endswith("arn") for name in identified)
        also = [form + "identifier" for form in nouns(noun)] if arns else []
        for candidate in [form + "name" for form in nouns(noun)] + also + ["name", "displayname"]:
            name = by_plain.get(candidate)
            if name and members[name].serialization.get("location") != "uri" and name not in identified:
                return [name]
    # What is told apart by a member of its own, and described by a structure that has a name, too.
    ends = (*ENDINGS, "arn")
    own = {form + end for form in [*nouns(noun), ""] for end in ends}
    if any(plain(name) in own and is_name(member) for name, member in members.items()):
        return inside(members, noun, False)
    return []


def derived(service, operation, shape):
    """('nothing' | 'untold' | places, whether by a rule) of an operation by its verb and its input."""
    verb, noun = verb_and_noun(operation)
    if verb in NOTHING:
        return "nothing"
    members = shape.members if shape else {}
    if verb in CHANGES:
        if not shape or re.search(r"Attributes?$", noun):
            return "nothing"
        return [f"~{name}" for name in renames(operation, verb, noun, shape)]
    is_setting = verb == "Put" and bool(SETTING.search(noun))
    makes = verb in MAKES
    found = among(members, noun, makes, not is_setting) or (not is_setting and inside(members, noun, makes)) or []
    if verb in ("Copy", "Restore", "Clone"):
        found = [
            name
            for name, member in members.items()
            if is_name(member) and re.search(r"^(target|destination|new).*(name|identifier)$", plain(name))
        ] or found
    if is_setting and not found:
        return "nothing"
    if not found and NO_THING.search(noun):
        return "nothing"
    tags = tag_places(service, operation, members, noun)
    if verb in WORKS:
        if not WORK.search(noun):
            return "nothing"
        required = [name for name in found if re.split(r"[.\[]", name)[0] in shape.required_members] if shape else []
        return required or [f"~{name}" for name in found]
    if not found and tags:
        found = tags
        if not any(not place.startswith("~") for place in tags):
            return "untold"
    elif tags:
        found = [*found, *[tag for tag in tags if tag.startswith("~")]]
    return found or "untold"


def wire(protocol, shape, place):
    """A place as the protocol writes it: /label, ?query-key, @header, or a path in the body; ^arn where an ARN may stand."""
    mark = "~" if place.startswith("~") else ""
    place, _, lead = place.removeprefix("~").partition("^")
    steps = re.findall(r"\[[^\]]*\]|[^.\[]+", place)
    first = shape.members[steps[0]]
    called = first.serialization.get("name", steps[0])
    location = first.serialization.get("location")
    out, at, root = [], shape, shape.serialization.get("payload") == steps[0]
    if location:
        assert len(steps) == 1 and location in ("uri", "querystring", "header"), (
            shape.name,
            place,
        )
        out, at = (
            [{"uri": "/", "querystring": "?", "header": "@"}[location] + called],
            first,
        )
        if location == "header":
            out = [out[0].lower()]
    else:
        for step in steps:
            if not step.startswith("["):
                member = at.members[step]
                name = serialized(protocol, member, step)
                out.append([] if root else name)
                at, root = member, False
                continue
            item = at.member.serialization.get("name")
            if at.serialization.get("flattened"):
                if item and protocol == "query":
                    out[-1] = item
            elif protocol == "rest-xml":
                out.append(item or "member")
            at = at.member
            if step == "[]":
                out.append("[]")
            else:
                key, _, value = step.strip("[]").partition("=")
                out.append(f"[{serialized(protocol, at.members[key], key)}={value}]")
        out = [step for step in out if step]
    assert is_name(at), (shape.name, place)
    text = ".".join(out).replace(".[", "[")
    lead = lead or (
        "arn" if "arn:" in at.metadata.get("pattern", "") or at.metadata.get("pattern", "").startswith("^arn") else ""
    )
    return mark + text + (f"^{lead}" if lead else "")


def serialized(protocol, member, name):
    if protocol == "ec2":
        if "queryName" in member.serialization:
            return member.serialization["queryName"]
        name = member.serialization.get("name", name)
        return name[:1].upper() + name[1:]
    return member.serialization.get("name", name)


class Reviewed:
    """names.tsv: service and operation (with * for any), a verdict, and why."""

    def __init__(self, lines):
        self.lines = [(service, operation, verdict, why) for service, operation, verdict, why in lines]
        self.used = set()

    def verdict(self, service, operation):
        for line in self.lines:
            if fnmatch.fnmatchcase(service, line[0]) and fnmatch.fnmatchcase(operation, line[1]):
                self.used.add(line)
                return line[2] if line[2] in ("nothing", "untold") else line[2].split()
        return None

    def unused(self):
        return [line for line in self.lines if line not in self.used]


def places(service, operation, shape, reviewed):
    """'nothing', 'untold', or the places of names, as members: '~' before those that may be left out."""
    verdict = reviewed.verdict(service, operation)
    if verdict is None:
        verdict = derived(service, operation, shape)
    return verdict or "nothing"


def main():
    import sys

    import generate
    from botocore.model import ServiceModel

    reviewed = Reviewed(generate.table("names.tsv"))
    for service in sys.argv[1:] or generate.LOADER.list_available_services("service-2"):
        model = ServiceModel(generate.LOADER.load_service_model(service, "service-2"), service)
        for name in model.operation_names:
            operation = model.operation_model(name)
            shape = operation.input_shape
            found = places(service, name, shape, reviewed)
            if found != "nothing" or "-a" in sys.argv:
                has = []
                if found == "untold" and shape:
                    has = [
                        m
                        + ("!" if m in shape.required_members else "")
                        + {"structure": "{}", "list": "[]", "map": "{:}"}.get(s.type_name, "")
                        for m, s in shape.members.items()
                        if s.type_name in ("string", "structure", "list")
                    ]
                kind = "-"
                if found != "untold":
                    n = plain(verb_and_noun(name)[1])
                    kind = "".join(
                        "M"
                        if f.startswith("~")
                        else "N"
                        if plain(f) in (n + "name",)
                        else "n"
                        if plain(f) == "name"
                        else "I"
                        if plain(f) in (n + "id", n + "identifier")
                        else "."
                        if "." in f
                        else "T"
                        for f in found
                    )
                print(
                    kind,
                    service,
                    name,
                    found if isinstance(found, str) else " ".join(found),
                    *([":", *has] if has else []),
                )


if __name__ == "__main__":
    main()
