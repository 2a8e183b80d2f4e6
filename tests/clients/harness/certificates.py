"""A throw-away certificate authority of the cloud, and the certificates of its hosts."""

import ssl
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

REGIONS = (
    "us-east-1", "us-west-1", "us-west-2", "eu-west-1", "eu-central-1", "ap-northeast-1", "ap-southeast-1",
    "ap-southeast-2", "ap-southeast-3", "sa-east-1",
)  # fmt: skip
# A wildcard stands for one label: S3's buckets have theirs below the region.
WILDCARDS = [
    "*.amazonaws.com",
    "*.s3.amazonaws.com",
    "*.s3-accelerate.amazonaws.com",
    "*.s3-accelerate.dualstack.amazonaws.com",
    *(
        f"*{between}.{region}.amazonaws.com"
        for region in REGIONS
        for between in ("", ".s3", ".dualstack", ".s3.dualstack")
    ),
]
CA_NAME = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Throw-away cloud CA")])
OTHER_USAGES = dict.fromkeys(
    ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "encipher_only", "decipher_only"),
    False,
)


@dataclass
class CloudCertificates:
    """The CA, and one certificate for the hosts that most tests call; `context` makes one for any host."""

    folder: Path
    ca_key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    leaf_key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    contexts: dict[str, ssl.SSLContext] = field(default_factory=dict)
    making: threading.Lock = field(default_factory=threading.Lock)

    @property
    def ca(self) -> Path:
        return self.folder / "cloud-ca.pem"

    @property
    def chain(self) -> Path:
        return self.folder / "cloud.pem"

    @property
    def key(self) -> Path:
        return self.folder / "cloud.key"

    def server_context(self) -> ssl.SSLContext:
        """Shows each client a certificate for just the host that it asks for, however many labels that has."""

        def choose(connection: ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> None:
            if name is not None:
                connection.context = self.context(name)

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.chain, self.key)
        context.sni_callback = choose
        return context

    def context(self, name: str) -> ssl.SSLContext:
        with self.making:
            if name not in self.contexts:
                chain = self.folder / "one-host.pem"
                chain.write_bytes(self.leaf([name]))
                self.contexts[name] = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                self.contexts[name].load_cert_chain(chain, self.key)
            return self.contexts[name]

    def leaf(self, names: list[str]) -> bytes:
        builder = (
            certificate(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "cloud")]), self.leaf_key.public_key())
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(
                x509.KeyUsage(digital_signature=True, key_cert_sign=False, crl_sign=False, **OTHER_USAGES),
                critical=True,
            )
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.ca_key.public_key()), critical=False)
        )
        return builder.sign(self.ca_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def make_cloud_certificates(folder: Path) -> CloudCertificates:
    made = CloudCertificates(folder)
    public_key = made.ca_key.public_key()
    ca = (
        certificate(CA_NAME, public_key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(
            x509.KeyUsage(digital_signature=True, key_cert_sign=True, crl_sign=True, **OTHER_USAGES), critical=True
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
        .sign(made.ca_key, hashes.SHA256())
    )
    made.ca.write_bytes(ca.public_bytes(serialization.Encoding.PEM))
    made.chain.write_bytes(made.leaf(WILDCARDS))
    made.key.write_bytes(
        made.leaf_key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return made


def certificate(subject: x509.Name, public_key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(CA_NAME)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=2))
    )
