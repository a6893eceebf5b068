# SPDX-License-Identifier: Apache-2.0
"""A TPM 2.0 in software (swtpm): with an endorsement certificate by a CA of its own, and DevID keys made in it."""
import os
import shutil
import socket
import subprocess

from .net import free_port, openssl
from .proc import Failed, wait_for

TOOLS = ("swtpm", "swtpm_setup", "swtpm_localca", "tpm2_create")
missing = [tool for tool in TOOLS if not shutil.which(tool)]


def two_ports():
    """A port whose successor is free too: swtpm's control channel."""
    while True:
        port = free_port()
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port + 1))
                return port
            except OSError:
                continue


class SwTpm:
    """One TPM. maker: folder of the CA that certifies endorsement keys; TPMs of one maker share it."""

    def __init__(self, scene, name, maker):
        self.dir, self.maker = scene.dir / name, maker
        self.state = self.dir / "state"
        self.state.mkdir(parents=True)
        maker.mkdir(exist_ok=True)
        self.setup()
        self.port = two_ports()
        self.tcti = f"swtpm:host=127.0.0.1,port={self.port}"
        self.run = scene.start(name, [
            "swtpm", "socket", "--tpm2", "--tpmstate", f"dir={self.state}",
            "--server", f"type=tcp,port={self.port},bindaddr=127.0.0.1",
            "--ctrl", f"type=tcp,port={self.port + 1},bindaddr=127.0.0.1", "--flags", "not-need-init,startup-clear"])
        wait_for(lambda: self.tool("tpm2_getrandom", "--hex", "8", check=False).returncode == 0, 10, f"{name} answers")
        self.tool("tpm2_createprimary", "-C", "o", "-G", "rsa2048:null:aes128cfb", "-g", "sha256", "-c", "srk.ctx",
                  "-a", "restricted|decrypt|fixedtpm|fixedparent|sensitivedataorigin|userwithauth|noda")
        self.flush()

    @property
    def maker_cas(self):
        """What a verifier trusts: the maker's root, and the CA below it that signs."""
        return self.maker / "cas.pem"

    def setup(self):
        ca, conf = self.dir / "localca.conf", self.dir / "setup.conf"
        options = self.dir / "localca.options"
        options.write_text("--platform-manufacturer Test\n--platform-version 1\n--platform-model Test\n")
        ca.write_text(f"statedir = {self.maker}\nsigningkey = {self.maker}/signkey.pem\n"
                      f"issuercert = {self.maker}/issuercert.pem\ncertserial = {self.maker}/certserial\n")
        conf.write_text(f"create_certs_tool = {shutil.which('swtpm_localca')}\ncreate_certs_tool_config = {ca}\n"
                        f"create_certs_tool_options = {options}\nactive_pcr_banks = sha256\n")
        runas = ["--runas", "root"] if os.geteuid() == 0 else []
        done = subprocess.run(["swtpm_setup", "--tpm2", "--tpm-state", self.state, "--create-ek-cert", "--lock-nvram",
                               "--config", conf, "--logfile", self.dir / "setup.log", *runas], capture_output=True, text=True)
        if done.returncode:
            raise Failed(f"swtpm_setup: {done.stdout}{done.stderr}{(self.dir / 'setup.log').read_text()}")
        self.maker_cas.write_text((self.maker / "issuercert.pem").read_text() + (self.maker / "swtpm-localca-rootca-cert.pem").read_text())

    def flush(self):
        """A TPM without a resource manager keeps what a killed agent had loaded, and has room for three keys: one user at a
        time, and this after one that was killed."""
        self.tool("tpm2_flushcontext", "-t")

    def tool(self, *argv, check=True):
        done = subprocess.run(argv, cwd=self.dir, env={**os.environ, "TPM2TOOLS_TCTI": self.tcti, "TSS2_LOG": "all+NONE"},
                              capture_output=True, text=True)
        if check and done.returncode:
            raise Failed(f"{' '.join(argv)}: {done.stdout}{done.stderr}")
        return done

    def devid(self, name, algorithm="rsa2048:rsassa-sha256:null", password="", parent="srk.ctx",
              attributes="fixedtpm|fixedparent|sensitivedataorigin|userwithauth|sign"):
        """A DevID key: its public and private file."""
        auth = ["-p", password] if password else []
        self.flush()
        self.tool("tpm2_create", "-C", parent, "-G", algorithm, "-g", "sha256", "-a", attributes, "-u", f"{name}.pub",
                  "-r", f"{name}.priv", *auth)
        self.flush()
        pem = self.tool("tpm2_print", "-t", "TPM2B_PUBLIC", "-f", "pem", f"{name}.pub").stdout
        (self.dir / f"{name}.pem").write_text(pem[pem.index("-----BEGIN"):])
        return self.dir / f"{name}.pub", self.dir / f"{name}.priv"

    def certify(self, name, ca, days=1, subject=None, public=None):
        """The DevID certificate of that key, by ca (certificate and key)."""
        out, conf = self.dir / f"{name}.crt", self.dir / f"{name}.cnf"
        conf.write_text("[ext]\nkeyUsage=critical,digitalSignature\n")
        openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", self.dir / "csr.key")
        csr = openssl("req", "-new", "-key", self.dir / "csr.key", "-subj", f"/CN={subject or name}")
        openssl("x509", "-req", "-days", days, "-CA", ca[0], "-CAkey", ca[1], "-force_pubkey", public or self.dir / f"{name}.pem",
                "-extfile", conf, "-extensions", "ext", "-CAcreateserial", "-out", out, stdin=csr)
        return out
