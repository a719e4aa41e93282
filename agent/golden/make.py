#!/usr/bin/env python3
"""Creates envelope.txt from report.xml with an independent implementation of the format in src/envelope.rs.

The keys are fixed, so the result is always the same. Tests compare it with the Rust implementation. Needs the package
`cryptography`. Run it in this directory when the wire version changes.
"""
import base64
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

def secret(byte):
    return ec.derive_private_key(int.from_bytes(bytes([byte]) * 32, "big"), ec.SECP256R1())

def point(key):
    return key.public_key().public_bytes(Encoding.X962, PublicFormat.CompressedPoint)

server, agent = secret(0x11), secret(0x22)
data_key, key_nonce, report_nonce = b"\x33" * 32, b"\x44" * 12, b"\x55" * 12
collection = b"\x66" * 16

header = b"FSWP" + b"\x01" + collection + point(server) + point(agent)
key_encryption_key = HKDF(hashes.SHA256(), 32, salt=None, info=b"fleetsweep 1 key-encryption key" + header).derive(
    server.exchange(ec.ECDH(), agent.public_key())
)
envelope = header + key_nonce + AESGCM(key_encryption_key).encrypt(key_nonce, data_key, header)
envelope += report_nonce + AESGCM(data_key).encrypt(report_nonce, open("report.xml", "rb").read(), header)

text = base64.b64encode(envelope).decode()
lines = [text[i : i + 76] for i in range(0, len(text), 76)]
with open("envelope.txt", "w") as file:
    file.write("\n".join(["", "-----BEGIN FLEETSWEEP REPORT-----", *lines, "-----END FLEETSWEEP REPORT-----", ""]))
with open("request.txt", "w") as file:
    key = base64.urlsafe_b64encode(point(server)).decode().rstrip("=")
    file.write(f"1.{collection.hex()}.{key}.250.20000.within.86400000\n")
