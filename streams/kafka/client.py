"""What a Kafka client needs to know of the configuration: addresses, TLS, SCRAM. Secrets never stand in an address."""

from __future__ import annotations

import ssl
from typing import Any

from streams.config.model import Config


def tls(config: Config) -> ssl.SSLContext:
    """Return the TLS context that the configuration asks for: TLS 1.2 or later, the broker's name is checked."""
    security = config.kafka.security
    context = ssl.create_default_context(cafile=str(security.ca_file) if security.ca_file else None)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if security.cert_file is not None:
        context.load_cert_chain(security.cert_file, security.key_file)
    return context


def aiokafka_settings(config: Config) -> dict[str, Any]:
    """Return the security arguments of an aiokafka client; empty for plaintext."""
    security = config.kafka.security
    if security.protocol == "plaintext":
        return {}
    settings: dict[str, Any] = {"security_protocol": security.protocol.upper(), "ssl_context": tls(config)}
    if security.protocol == "sasl_ssl":
        settings |= {
            "sasl_mechanism": security.mechanism,
            "sasl_plain_username": security.username,
            "sasl_plain_password": config.secrets.kafka_password,
        }
    return settings


def faust_credentials(config: Config) -> Any:
    """Return Faust's credentials object, None for plaintext. Without the context Faust would drop TLS unsaid."""
    security = config.kafka.security
    if security.protocol == "plaintext":
        return None
    from faust.auth import SASLCredentials, SSLCredentials  # noqa: PLC0415 - Faust takes half a second to import

    if security.protocol == "ssl":
        return SSLCredentials(context=tls(config))
    return SASLCredentials(
        mechanism=security.mechanism,
        ssl_context=tls(config),
        username=security.username,
        password=config.secrets.kafka_password,
    )
