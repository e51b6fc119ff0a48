"""Nodes and a gateway as processes of their own, over new directories: what the benchmarks of a cluster share."""

import json
import os
import pathlib
import random
import signal
import socket
import subprocess
import sys
import time

from client import KEY, KIB, SECRET

LISTEN = ["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]
# Below the ports that the kernel hands out: a node that is started again finds its own port free.
RPC_PORTS = range(10_000, 32_000)


def environment(**more):
    return {**os.environ, "CAIRN_ROOT_ACCESS_KEY": KEY, "CAIRN_ROOT_SECRET_KEY": SECRET, **more}


class Process:
    """One process of Cairn; `host` and `admin` are known once it serves."""

    def __init__(self, command, log=None, **settings):
        self.command, self.log, self.settings = [*command, *LISTEN], log, settings
        self.start()

    def start(self):
        # Where a log is wanted, it has all starts one after the other.
        said = open(self.log, "a") if self.log else subprocess.DEVNULL
        self.process = subprocess.Popen(
            [*self.command, "--log", "info,openraft=error"],
            env=environment(**self.settings),
            stdout=subprocess.PIPE,
            stderr=said,
            text=True,
        )

    def wait(self):
        """Waits until it serves."""
        for line in self.process.stdout:
            word, _, rest = line.strip().partition(" ")
            if word == "S3":
                self.host = rest.strip().removeprefix("http://")
            if word == "admin":
                self.admin = rest.split()[0]
                return self
        sys.exit(f"a process did not start: {' '.join(map(str, self.command))}")

    def restart(self):
        """Starts it again once it has ended."""
        self.process.wait(60)
        self.start()
        return self.wait()

    def peak_rss(self):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return next(int(line.split()[1]) * KIB for line in status.splitlines() if line.startswith("VmHWM"))

    def stop(self):
        self.process.terminate()
        self.process.wait(60)

    def ask(self, *verb):
        """What an admin verb answers; `subprocess.CalledProcessError` where it is refused."""
        command = [self.command[0], "admin", *verb, "--json", "--admin-url", self.admin]
        return json.loads(subprocess.check_output(command, env=environment(), stderr=subprocess.DEVNULL, timeout=60))


class Cluster:
    """Nodes and a gateway. A block that has it kills what still runs at its end."""

    def __init__(self, binary, home, nodes, disks, voters=None, profile=None, bucket=None, has_logs=False, **settings):
        self.binary, self.home, self.disks = str(binary), pathlib.Path(home), disks
        addresses = free_addresses(nodes)
        self.join = ["--join", ",".join(addresses)]
        secret = {"CAIRN_CLUSTER_SECRET": "a secret of the benches, long enough", **settings}
        if voters:
            secret["CAIRN_VOTERS"] = str(voters)
        log = lambda name: self.home / f"{name}.log" if has_logs else None
        own = ["--profile", profile] if profile else []
        command = lambda at: [self.binary, "node", *map(str, self.directories(at)), *self.join, "--rpc-listen", addresses[at], *own]
        self.gateway = None
        self.nodes = [Process(command(at), log(f"node-{at}"), **secret) for at in range(nodes)]
        try:
            for node in self.nodes:
                node.wait()
            added = self.nodes[0].ask("gateway", "add")
            wanted = ["--bucket", bucket] if bucket else []
            front = [self.binary, "gateway", *self.join, *wanted]
            self.gateway = Process(front, log("gateway"), CAIRN_GATEWAY_CREDENTIAL=added["credential"], **settings).wait()
        except BaseException:
            self.kill()
            raise

    def directories(self, node):
        return [self.home / f"n{node}d{disk}" for disk in range(1, self.disks + 1)]

    def processes(self):
        return [*self.nodes, *([self.gateway] if self.gateway else [])]

    def kill(self):
        for one in self.processes():
            one.process.kill()
            one.process.wait()

    def __enter__(self):
        # Whoever ends a benchmark leaves no cluster behind.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))
        return self

    def __exit__(self, *_error):
        self.kill()

    def at(self, node_id):
        """The process that is this node."""
        return next(node for node in self.nodes if self.id_of(node) == node_id)

    def id_of(self, node):
        """A process keeps the id of its disks over all its starts."""
        if not hasattr(node, "id"):
            node.id = node.ask("status")["node"]
        return node.id

    def wait_for(self, what, find, seconds=120):
        """Asks nodes for their status until `find` makes something of one; returns that."""
        limit = time.monotonic() + seconds
        while time.monotonic() < limit:
            for node in self.nodes:
                try:
                    found = find(node.ask("status"))
                except subprocess.SubprocessError:
                    continue
                if found:
                    return found
            time.sleep(0.2)
        sys.exit(f"within {seconds} s there was not: {what}")


def free_addresses(count):
    """Addresses of this machine that nobody listens at."""
    found = []
    for port in random.sample(RPC_PORTS, len(RPC_PORTS)):
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            continue
        found.append(f"127.0.0.1:{port}")
        if len(found) == count:
            return found
    sys.exit(f"{count} ports are not free")
