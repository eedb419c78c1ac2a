"""Certificates for tests, made by the program openssl on the spot, so that none
expires in the tree."""

import base64
import hashlib
import pathlib
import subprocess


def openssl(*args, input=None):
    return subprocess.run(
        ["openssl", *map(str, args)], input=input, capture_output=True, check=True
    ).stdout


class Cert:
    """A certificate and its key: .file has both, .alone the certificate only,
    .key the key; .subject and .pin are what nws shows of it."""

    def __init__(self, folder, name, names="", issuer=None, root=False, days=2):
        base = pathlib.Path(folder) / name.replace(" ", "_")
        self.alone = base.with_suffix(".crt")
        self.key = base.with_suffix(".key")
        self.file = base.with_suffix(".pem")
        self.subject = f"CN={name}"
        request, extensions = base.with_suffix(".csr"), base.with_suffix(".ext")
        openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256",
                "-out", self.key)  # fmt: skip
        openssl("req", "-new", "-key", self.key, "-subj", f"/CN={name}", "-out", request)
        lines = [f"basicConstraints = critical,CA:{str(root).upper()}"]
        if names:
            lines.append(f"subjectAltName = {names}")
        extensions.write_text("\n".join(lines) + "\n")
        by = ["-signkey", self.key]
        if issuer:
            by = ["-CA", issuer.alone, "-CAkey", issuer.key, "-CAcreateserial"]
        openssl("x509", "-req", "-in", request, *by, "-days", days, "-extfile",
                extensions, "-out", self.alone)  # fmt: skip
        self.file.write_bytes(self.alone.read_bytes() + self.key.read_bytes())
        self.pin = pin_of(self.alone.read_text())


def pin_of(pem):
    """RFC 7469 2.4: the SHA-256 of the public key as it stands in a certificate."""
    key = openssl("x509", "-pubkey", "-noout", input=pem.encode())
    der = openssl("pkey", "-pubin", "-outform", "DER", input=key)
    return "sha256//" + base64.b64encode(hashlib.sha256(der).digest()).decode()
