# SPDX-License-Identifier: Apache-2.0
"""Ports, targets that count what reaches them, certificates of strangers, raw TLS calls."""
import random
import socket
import ssl
import subprocess
import threading
import urllib.error
import urllib.request


reserved = []


def reserve(port):
    """No other test on this machine takes this port while this one runs, whether anything listens there yet or not."""
    lock = socket.socket(socket.AF_UNIX)
    try:
        lock.bind(f"\0writ-it-port-{port}")
    except OSError:
        lock.close()
        return False
    reserved.append(lock)
    return True


def free_port():
    """A port that nothing listens on, below the range from which the kernel takes ports for outgoing connections, so that
    a server that is restarted finds it free again."""
    while True:
        port = random.randrange(20000, 32000)
        if not reserve(port):
            continue
        with socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                s.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def http_status(url, timeout=2):
    """The status of a plain HTTP GET; None when nobody answers."""
    try:
        with urllib.request.urlopen(url, timeout=timeout) as answer:
            return answer.status
    except urllib.error.HTTPError as e:
        return e.code
    except OSError:
        return None


def http_text(url, timeout=2):
    with urllib.request.urlopen(url, timeout=timeout) as answer:
        return answer.read().decode()


class Target:
    """A tool without any protection: answers HTTP, counts connections and bytes."""

    def __init__(self):
        self.connections = self.bytes = 0
        self.lock = threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                conn, _ = self.listener.accept()
            except OSError:
                return
            with self.lock:
                self.connections += 1
            threading.Thread(target=self._serve, args=(conn,), daemon=True).start()

    def _serve(self, conn):
        with conn:
            conn.settimeout(30)
            try:
                text = b""
                while part := conn.recv(65536):
                    with self.lock:
                        self.bytes += len(part)
                    text += part
                    while b"\r\n\r\n" in text:
                        text = text.split(b"\r\n\r\n", 1)[1]
                        conn.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello\n")
            except OSError:
                pass

    def close(self):
        self.listener.close()


def tls_get(port, cert=None, key=None, send=b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n", timeout=5):
    """A call with these files as identity, whoever the server is. Returns what came back; b"" or an exception's text
    when the server refused."""
    ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    ctx.check_hostname = False
    ctx.verify_mode = ssl.CERT_NONE
    if cert:
        ctx.load_cert_chain(cert, key)
    try:
        with socket.create_connection(("127.0.0.1", port), timeout) as plain, ctx.wrap_socket(plain) as conn:
            conn.sendall(send)
            return conn.recv(65536)
    except (OSError, ssl.SSLError) as e:
        return f"{type(e).__name__}: {e}"


def openssl(*argv, stdin=None):
    return subprocess.run(["openssl", *[str(a) for a in argv]], check=True, capture_output=True, input=stdin).stdout


def self_made(folder, name, spiffe_id, issuer=None, days=1, ca=False):
    """A certificate for spiffe_id that our CA did not issue, as paths (certificate, key); issuer: such a pair, else
    self-signed."""
    cert, key, conf = folder / f"{name}.pem", folder / f"{name}.key", folder / f"{name}.cnf"
    usage = "critical,keyCertSign,cRLSign" if ca else "critical,digitalSignature"
    conf.write_text(f"""[req]
distinguished_name=dn
prompt=no
[dn]
O=Stranger
[ext]
subjectAltName=URI:{spiffe_id}
basicConstraints=critical,CA:{'TRUE' if ca else 'FALSE'}
keyUsage={usage}
{'' if ca else 'extendedKeyUsage=serverAuth,clientAuth'}
""")
    openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", key)
    csr = openssl("req", "-new", "-key", key, "-config", conf)
    by = ["-CA", issuer[0], "-CAkey", issuer[1], "-CAcreateserial"] if issuer else ["-signkey", key]
    openssl("x509", "-req", "-days", days, "-extfile", conf, "-extensions", "ext", *by, "-out", cert, stdin=csr)
    return cert, key
