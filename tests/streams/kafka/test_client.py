"""What clients are told of TLS and SCRAM: proved by handshakes with certificates made for the test."""

import shutil
import socket
import ssl
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest
from faust.auth import SASLCredentials, SSLCredentials

from streams.config.load import load
from streams.config.model import Config
from streams.kafka.client import aiokafka_settings, faust_credentials, tls
from tests.conftest import skip_loudly


def openssl(folder: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder with an authority `ca`, and what it has signed: a `broker` named localhost and a `client`."""
    if shutil.which("openssl") is None:
        skip_loudly("openssl is not installed, which makes the certificates (Debian: openssl)")
    made = tmp_path_factory.mktemp("tls")
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    for ca in ("ca", "stranger"):
        openssl(
            made, "req", "-x509", *key, "-days", "2", "-subj", f"/CN={ca}", "-keyout", f"{ca}.key", "-out", f"{ca}.pem"
        )
    (made / "names").write_text("subjectAltName=DNS:localhost\n", encoding="utf-8")
    for name in ("broker", "client"):
        openssl(made, "req", *key, "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.csr")
        signed = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "names")
        openssl(made, "x509", "-req", "-in", f"{name}.csr", *signed, "-out", f"{name}.pem")
    return made


def config(folder: Path, security: str, env: dict[str, str] | None = None) -> Config:
    """Return a configuration beside the certificates, which it names as a file would: by its own folder."""
    path = folder / "leapwatch.toml"
    path.write_text(f"[kafka.security]\n{security}", encoding="utf-8")
    return load(path, env or {})


def shake(folder: Path, client: ssl.SSLContext, name: str = "localhost", most: ssl.TLSVersion | None = None) -> str:
    """Return the client's name that a broker sees in its certificate; or raise what the client is told."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(folder / "broker.pem", folder / "broker.key")
    server.load_verify_locations(folder / "ca.pem")
    server.verify_mode = ssl.CERT_REQUIRED
    if most is not None:
        server.minimum_version = server.maximum_version = most
    ours, theirs = socket.socketpair()
    seen: list[str] = []

    def serve() -> None:
        try:
            with server.wrap_socket(theirs, server_side=True) as line:
                peer: Any = line.getpeercert()
                seen.append(dict(part[0] for part in peer["subject"])["commonName"])
                line.sendall(b".")
        except (ssl.SSLError, OSError):
            theirs.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with client.wrap_socket(ours, server_hostname=name) as line:
            assert b"." == line.recv(1)
    finally:
        ours.close()
        thread.join(10)
    return seen[0]


CLIENT = 'protocol = "ssl"\nca_file = "ca.pem"\ncert_file = "client.pem"\nkey_file = "client.key"\n'


def test_a_broker_of_our_authority_sees_our_certificate(folder: Path) -> None:
    assert "client" == shake(folder, tls(config(folder, CLIENT)))


def test_a_broker_of_another_authority_or_another_name_is_refused(folder: Path) -> None:
    with pytest.raises(ssl.SSLCertVerificationError, match=r"self-signed|unable to get local issuer"):
        shake(folder, tls(config(folder, CLIENT.replace("ca.pem", "stranger.pem"))))
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        shake(folder, tls(config(folder, CLIENT)), name="broker-7")


def test_nothing_older_than_tls_1_2_is_offered(folder: Path) -> None:
    assert ssl.TLSVersion.TLSv1_2 == tls(config(folder, CLIENT)).minimum_version
    assert "client" == shake(folder, tls(config(folder, CLIENT)), most=ssl.TLSVersion.TLSv1_2)


def test_scram_goes_over_tls_with_the_password_of_its_file_and_never_in_print(folder: Path) -> None:
    (folder / "password").write_text("hush\n", encoding="utf-8")
    checked = config(
        folder,
        'protocol = "sasl_ssl"\nca_file = "ca.pem"\nusername = "leap"\npassword_file = "password"\n'
        'mechanism = "SCRAM-SHA-512"\n',
    )
    settings = aiokafka_settings(checked)

    assert isinstance(settings.pop("ssl_context"), ssl.SSLContext)
    assert {
        "security_protocol": "SASL_SSL",
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": "leap",
        "sasl_plain_password": "hush",
    } == settings
    assert "hush" not in repr(checked)


def test_faust_gets_the_same_with_its_context(folder: Path) -> None:
    over_tls = faust_credentials(config(folder, CLIENT))
    text = 'protocol = "sasl_ssl"\nca_file = "ca.pem"\nusername = "leap"\nmechanism = "SCRAM-SHA-256"\n'
    by_name = faust_credentials(config(folder, text, {"LEAPWATCH_KAFKA_PASSWORD": "hush"}))

    assert isinstance(over_tls, SSLCredentials)
    assert "client" == shake(folder, over_tls.context)
    assert isinstance(by_name, SASLCredentials)
    assert isinstance(by_name.ssl_context, ssl.SSLContext)
    assert ("SCRAM-SHA-256", "leap", "hush") == (by_name.mechanism.value, by_name.username, by_name.password)


def test_plaintext_needs_nothing() -> None:
    assert ({}, None) == (aiokafka_settings(load(None, {})), faust_credentials(load(None, {})))
