"""The parts that the suites share: one cloud, one gateway and one team for a run of pytest."""

import os
import resource
from collections.abc import Callable, Generator, Iterator

import pytest

from .certificates import CloudCertificates, make_cloud_certificates
from .clients import Way, environment, without_presets
from .cloud import REAL_KEY, Key, ScriptedCloud, StrictMoto, Tunnel
from .gateway import NINE_SERVICES, Gateway, Team

# What a test measured, for whoever reads the run.
FIGURES: list[str] = []


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--straight",
        action="store_true",
        help="run the clients straight against the cloud with its real key: tells a broken test from a broken gateway",
    )


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for figure in FIGURES:
        terminalreporter.write_line(f"figure: {figure}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """What the gateway had to say last, for a test that failed."""
    report = yield
    if report.failed:
        for value in getattr(item, "funcargs", {}).values():
            gateway = value.gateway if isinstance(value, Team) else value
            if isinstance(gateway, Gateway) and gateway.process:
                report.sections.append(("log of the gateway", gateway.process.tail(12)))
                break
    return report


@pytest.fixture(scope="session", autouse=True)
def clean_machine() -> Iterator[None]:
    """No proxy, CA or AWS setting of the machine or the person reaches a client; many sockets may be open."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 65536), hard))
    with environment(without_presets(os.environ)):
        yield


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> CloudCertificates:
    return make_cloud_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory, certificates: CloudCertificates) -> Iterator[StrictMoto]:
    moto = StrictMoto(tmp_path_factory.mktemp("cloud"), certificates)
    yield moto
    moto.stop()


@pytest.fixture(scope="session")
def straight(cloud: StrictMoto, certificates: CloudCertificates) -> Iterator[Way]:
    """The cloud without the gateway, with its real key."""
    tunnel = Tunnel(cloud.address)
    yield Way(tunnel.proxy_url, certificates.ca, REAL_KEY)
    tunnel.stop()


@pytest.fixture(scope="session")
def make_gateway(tmp_path_factory: pytest.TempPathFactory, certificates: CloudCertificates) -> Iterator[Callable]:
    """Gateways with a cloud or settings of the test's own."""
    made: list[Gateway] = []

    def make(override: dict[str, str], settings: dict[str, dict] | None = None, console: str = "127.0.0.1") -> Gateway:
        folder = tmp_path_factory.mktemp("gateway")
        gateway = Gateway(folder, certificates.ca, override, settings, console).init().start()
        made.append(gateway)
        return gateway

    yield make
    for gateway in made:
        gateway.running().stop()


@pytest.fixture(scope="session")
def gateway(request: pytest.FixtureRequest, make_gateway: Callable, cloud: StrictMoto) -> Gateway:
    if request.config.getoption("--straight"):
        pytest.skip("there is no gateway on the straight way")
    return make_gateway({"*.amazonaws.com": cloud.address})


@pytest.fixture(scope="session")
def team(gateway: Gateway) -> Team:
    return Team(gateway)


@pytest.fixture(scope="session")
def key(team: Team) -> Key:
    """A key for all nine services."""
    return team.grant(*NINE_SERVICES)


@pytest.fixture(scope="session")
def way(request: pytest.FixtureRequest) -> Way:
    """Through the gateway with the key that it gave out; or, if asked for, straight to the cloud."""
    if request.config.getoption("--straight"):
        return request.getfixturevalue("straight")
    gateway = request.getfixturevalue("gateway")
    return Way(gateway.proxy_url, gateway.ca, request.getfixturevalue("key"))


@pytest.fixture(scope="session")
def role(straight: Way) -> str:
    """A role for Lambda functions, which is none of the nine services' business."""
    policy = '{"Version": "2012-10-17", "Statement": []}'
    return straight.boto3("iam").create_role(RoleName="function", AssumeRolePolicyDocument=policy)["Role"]["Arn"]


@pytest.fixture
def say() -> Callable[[str], None]:
    """Reports a figure."""
    return FIGURES.append


@pytest.fixture
def scripted(certificates: CloudCertificates) -> Iterator[Callable]:
    """Clouds that do as the test says."""
    made: list[ScriptedCloud] = []

    def make(script: Callable) -> ScriptedCloud:
        made.append(ScriptedCloud(certificates, script))
        return made[-1]

    yield make
    for cloud in made:
        cloud.stop()
