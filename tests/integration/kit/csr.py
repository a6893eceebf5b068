# SPDX-License-Identifier: Apache-2.0
"""Certificate requests as no honest program makes them, written byte by byte; and RSA keys of every weak kind."""
import hashlib
import random
import subprocess

from .net import openssl

SEQ, SET, INT, BITS, OCTETS, OID, BOOL, UTF8 = 0x30, 0x31, 2, 3, 4, 6, 1, 12
ECDSA_SHA256 = bytes.fromhex("300a06082a8648ce3d040302")
RSA_SHA256 = bytes.fromhex("300d06092a864886f70d01010b0500")
RSA_KEY = bytes.fromhex("300d06092a864886f70d0101010500")
P256 = bytes.fromhex("301306072a8648ce3d020106082a8648ce3d030107")
SUBJECT = bytes.fromhex("300d310b300906035504061302555a")
SAN, BASIC, USAGE = (bytes((0x55, 0x1D, n)) for n in (17, 19, 15))
EXT_REQUEST = bytes.fromhex("2a864886f70d01090e")


def der(tag, *parts):
    body = b"".join(parts)
    if len(body) < 128:
        return bytes((tag, len(body))) + body
    size = len(body).to_bytes((len(body).bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(size))) + size + body


def number(n):
    return der(INT, n.to_bytes(n.bit_length() // 8 + 1, "big"))


def uri(text):
    return der(0x86, text.encode())


def ext(oid, value, critical=False):
    return der(SEQ, der(OID, oid), der(BOOL, b"\xff") if critical else b"", der(OCTETS, value))


def san(*names):
    return ext(SAN, der(SEQ, *names))


class EcKey:
    """A key of OpenSSL's, for requests that are well signed."""
    algorithm = ECDSA_SHA256

    def __init__(self, folder, curve="prime256v1", pem=None):
        self.path = pem or folder / f"{curve}-{random.getrandbits(40):x}.pem"
        if not pem:
            openssl("ecparam", "-name", curve, "-genkey", "-noout", "-out", self.path)
        self.spki = openssl("pkey", "-in", self.path, "-pubout", "-outform", "DER")

    def sign(self, text):
        return openssl("dgst", "-sha256", "-sign", self.path, stdin=text)


def is_prime(n):
    return pow(2, n - 1, n) == 1 and pow(3, n - 1, n) == 1


def small_primes(limit):
    return [n for n in range(2, limit) if all(n % d for d in range(2, int(n ** 0.5) + 1))]


SMALL = small_primes(2000)


def next_prime(n, step=2):
    while any(n % p == 0 for p in SMALL if p < n) or not is_prime(n):
        n += step
    return n


def some_prime(bits):
    return next_prime(random.getrandbits(bits) | 3 << bits - 2 | 1)


class RsaKey:
    """A key of any primes: it signs as RSA does, however weak it is."""
    algorithm = RSA_SHA256

    def __init__(self, primes, e=65537):
        self.n, phi = 1, 1
        for p in primes:
            self.n *= p
            phi *= p - 1
        self.d = pow(e, -1, phi)
        self.spki = der(SEQ, RSA_KEY, der(BITS, b"\0", der(SEQ, number(self.n), number(e))))

    def sign(self, text):
        size = (self.n.bit_length() + 7) // 8
        info = bytes.fromhex("3031300d060960864801650304020105000420") + hashlib.sha256(text).digest()
        padded = b"\0\1" + b"\xff" * (size - len(info) - 3) + b"\0" + info
        return pow(int.from_bytes(padded, "big"), self.d, self.n).to_bytes(size, "big")


def coprime_primes(bits, count, e):
    found = []
    while len(found) < count:
        p = some_prime(bits)
        if p not in found and (p - 1) % e:
            found.append(p)
    return found


def roca_primes():
    """Two primes of the shape k * M + (65537^a mod M), CVE-2017-15361."""
    m = 1
    for p in SMALL[:126]:
        m *= p
    found = []
    while len(found) < 2:
        p = (random.getrandbits(1024 - m.bit_length()) | 1 << 1023 - m.bit_length()) * m + pow(65537, random.getrandbits(60), m)
        if p.bit_length() == 1024 and is_prime(p):
            found.append(p)
    return found


def weak_rsa_keys():
    close = some_prime(1024)
    return {
        "RSA-1024": RsaKey(coprime_primes(512, 2, 65537)),
        "RSA-8192": RsaKey(coprime_primes(512, 16, 65537)),
        "e = 3": RsaKey(coprime_primes(1024, 2, 3), 3),
        "close primes": RsaKey([close, next_prime(close + 2)]),
        "ROCA": RsaKey(roca_primes()),
    }


def request(key, *extensions, subject=SUBJECT, version=0, attributes=None, spki=None, signature=None, behind=b"",
            algorithm=None):
    """A request that is well signed unless it is told otherwise."""
    if attributes is None:
        attributes = [der(SEQ, der(OID, EXT_REQUEST), der(SET, der(SEQ, *extensions)))] if extensions else []
    info = der(SEQ, number(version), subject, spki or key.spki, der(0xA0, *attributes))
    sign = key.sign(info) if signature is None else signature
    return der(SEQ, info, algorithm or key.algorithm, der(BITS, b"\0", sign)) + behind


def text_of(cert_der):
    return subprocess.run(["openssl", "x509", "-inform", "DER", "-noout", "-text"], input=cert_der, capture_output=True,
                          check=True).stdout.decode()
