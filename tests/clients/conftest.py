"""A server of its own for each scheme, and one fresh bucket for each test."""

import itertools
import os
import pathlib
import ssl
import subprocess

import boto3
import pytest
import trustme
from botocore.config import Config

ACCESS_KEY = "root-of-the-clients"
SECRET_KEY = "a secret of the clients"
REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
BINARY = pathlib.Path(os.environ.get("CAIRN_BINARY", REPOSITORY / "target/debug/cairn"))
DISKS = 6


class Server:
    """The binary over six fresh directories."""

    def __init__(self, home: pathlib.Path, scheme: str):
        self.home, self.scheme = home, scheme
        self.directories = [home / f"d{n}" for n in range(1, DISKS + 1)]
        self.environment = {
            **os.environ,
            "CAIRN_ROOT_ACCESS_KEY": ACCESS_KEY,
            "CAIRN_ROOT_SECRET_KEY": SECRET_KEY,
            "CAIRN_DISK_RESERVE": "1MiB",
        }
        self.authority = None
        if scheme == "https":
            authority = trustme.CA()
            certificate = authority.issue_cert("localhost", "127.0.0.1")
            self.authority = home / "ca.pem"
            authority.cert_pem.write_to_path(str(self.authority))
            certificate.private_key_pem.write_to_path(str(home / "key.pem"))
            with open(home / "cert.pem", "wb") as chain:
                for pem in certificate.cert_chain_pems:
                    chain.write(pem.bytes())
            self.environment["CAIRN_TLS_CERT"] = str(home / "cert.pem")
            self.environment["CAIRN_TLS_KEY"] = str(home / "key.pem")
        self.start()

    def start(self):
        self.process = subprocess.Popen(
            [BINARY, "server", *self.directories, "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=open(self.home / "server.log", "ab"),
            text=True,
        )
        for line in self.process.stdout:
            word, _, rest = line.strip().partition(" ")
            if word == "S3":
                self.endpoint = rest.strip()
            if word == "admin":
                self.admin = rest.strip()
                return
        raise AssertionError((self.home / "server.log").read_text())

    def stop(self):
        """SIGTERM; the server drains and ends by itself."""
        self.process.terminate()
        assert self.process.wait(timeout=60) == 0

    @property
    def host(self):
        return self.endpoint.split("://")[1]

    def client_environment(self):
        """What the clients' processes see: the key, the endpoint, the authority."""
        environment = {
            **os.environ,
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
            "AWS_EC2_METADATA_DISABLED": "true",
            "HOME": str(self.home),
        }
        if self.authority:
            environment["AWS_CA_BUNDLE"] = str(self.authority)
        return environment

    def boto3(self, **config):
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key=SECRET_KEY,
            region_name="us-east-1",
            verify=str(self.authority) if self.authority else None,
            config=Config(s3={"addressing_style": "path"}, **config),
        )

    def tls_context(self):
        return ssl.create_default_context(cafile=str(self.authority)) if self.authority else None


@pytest.fixture(scope="session", params=["http", "https"])
def server(request, tmp_path_factory):
    server = Server(tmp_path_factory.mktemp(request.param), request.param)
    yield server
    server.stop()


names = (f"clients-{os.getpid()}-{number}" for number in itertools.count())


@pytest.fixture
def bucket(server):
    name = next(names)
    server.boto3().create_bucket(Bucket=name)
    return name


@pytest.fixture
def run(server, tmp_path):
    """Runs a client's command in a directory of the test's own; it must succeed. Returns what it printed."""

    def run_client(*command, **environment):
        done = subprocess.run(
            [str(word) for word in command],
            env={**server.client_environment(), **environment},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout

    return run_client


@pytest.fixture
def tree(tmp_path):
    """A folder of files of every size at which the way of storing changes, with names that need care."""
    root = tmp_path / "tree"
    sizes = {
        "empty": 0,
        "inline": 4096,
        "a/small copies": 65536,
        "a/stripe+plus": 65537,
        "a/b/ümläut & <ampersand>": 1_000_000,
        "a.b": 17,
        "a/b/c/several stripes": 13_000_001,
    }
    for name, size in sizes.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.urandom(size))
        # Older than any Last-Modified in whole seconds, or a sync would find it newer than its copy.
        os.utime(path, (1_700_000_000, 1_700_000_000))
    return root


def content(root: pathlib.Path):
    """Every file below a folder with its bytes."""
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}
