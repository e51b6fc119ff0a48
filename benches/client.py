"""A client of few lines, and the server that it measures: what the benchmarks beside this file share."""

import argparse
import contextlib
import datetime
import hashlib
import hmac
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import urllib.request

REPOSITORY = pathlib.Path(__file__).resolve().parents[1]
KEY, SECRET = "root-of-the-benches", "a secret of the benches"
KIB, MIB = 1 << 10, 1 << 20
UNITS = {"KiB": KIB, "MiB": MIB, "GiB": 1 << 30}
HOST, PORT, ADMIN_PORT = "127.0.0.1", 9410, 9411


def parse_bytes(text):
    unit = next(unit for unit in UNITS if text.endswith(unit))
    return int(text.removesuffix(unit)) * UNITS[unit]


def hmac_sha256(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def head(method, path, length=None, query="", headers=(), host=f"{HOST}:{PORT}"):
    """A request's head, signed; `query` in the order and the encoding of the canonical request."""
    now = datetime.datetime.now(datetime.timezone.utc)
    date, stamp = now.strftime("%Y%m%d"), now.strftime("%Y%m%dT%H%M%SZ")
    headers = {"host": host, "x-amz-content-sha256": "UNSIGNED-PAYLOAD", "x-amz-date": stamp, **dict(headers)}
    names = ";".join(sorted(headers))
    canonical = "\n".join([method, path, query, *(f"{name}:{headers[name]}" for name in sorted(headers)), "", names, "UNSIGNED-PAYLOAD"])
    scope = f"{date}/us-east-1/s3/aws4_request"
    to_sign = "\n".join(["AWS4-HMAC-SHA256", stamp, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = ("AWS4" + SECRET).encode()
    for part in (date, "us-east-1", "s3", "aws4_request"):
        key = hmac_sha256(key, part)
    signature = hmac_sha256(key, to_sign).hex()
    headers["authorization"] = f"AWS4-HMAC-SHA256 Credential={KEY}/{scope},SignedHeaders={names},Signature={signature}"
    if length is not None:
        headers["content-length"] = str(length)
    return f"{method} {path}{'?' if query else ''}{query} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in headers.items()) + "\r\n"


async def answer_of(reader):
    """Status and length of an answer whose body follows."""
    lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    fields = dict(line.lower().split(": ", 1) for line in lines[1:] if ": " in line)
    return int(lines[0].split()[1]), int(fields.get("content-length", 0))


def rss(pid, field):
    lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) / 1024


def cpu_seconds(pid):
    """What a process has spent, as user and in the kernel."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def arguments(description):
    """The options that all have."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--disks", type=int, default=6)
    parser.add_argument("--binary", default=str(REPOSITORY / "target/release/cairn"))
    return parser


@contextlib.contextmanager
def serving(binary, disks, bucket):
    """A server over new directories, with a bucket; ends with the block."""
    with tempfile.TemporaryDirectory() as directory:
        directories = [f"{directory}/{disk}" for disk in range(disks)]
        command = [binary, "server", *directories, "--listen", f"{HOST}:{PORT}", "--admin-listen", f"{HOST}:{ADMIN_PORT}", "--bucket", bucket]
        keys = {"CAIRN_ROOT_ACCESS_KEY": KEY, "CAIRN_ROOT_SECRET_KEY": SECRET}
        server = subprocess.Popen(command, env={**os.environ, **keys}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            wait_until_ready(server)
            yield server
        finally:
            server.terminate()
            server.wait()


def wait_until_ready(server):
    for _ in range(100):
        try:
            return urllib.request.urlopen(f"http://{HOST}:{ADMIN_PORT}/readyz")
        except OSError:
            if server.poll() is not None:
                sys.exit("the server ended")
            time.sleep(0.1)
    sys.exit("the server does not become ready")
