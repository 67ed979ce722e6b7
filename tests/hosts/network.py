"""Machines on a network of their own: namespaces with a cable each to one switch, and none to this machine's network.

Namespaces have no names: this process holds them by descriptors, and they are gone with it.
"""

from __future__ import annotations

import contextlib
import ctypes
import http.client
import os
import shutil
import subprocess
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path

_CLONE_NEWNET = 0x40000000
PREFIX = "10.77.0"
_OWN = "/proc/thread-self/ns/net"
PROGRAMS = {"ip": "iproute2", "nft": "nftables", "haproxy": "haproxy", "faketime": "faketime"}
"""What this needs beside what all tests do, by the Debian package that has it."""
SYSTEM_PATH = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/sbin"))


def why_not() -> str:
    """Why no such network can be made here; empty where it can."""
    missing = [package for program, package in PROGRAMS.items() if not shutil.which(program, path=SYSTEM_PATH)]
    if missing:
        return f"Debian's {', '.join(missing)} would be needed: `make hosts` installs them"
    made = ["unshare", "--net", "--uts", "--pid", "--fork", "--kill-child", "--mount-proc"]
    words = [*made, "ip", "link", "add", "type", "bridge"]
    probe = subprocess.run(words, env=environment(), capture_output=True, check=False)
    return "no namespaces may be made here, in which hosts have networks of their own" if probe.returncode else ""


def environment() -> dict[str, str]:
    """This process's, with the folders that have programs for root."""
    return {**os.environ, "PATH": SYSTEM_PATH}


def _enter(namespace: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(namespace, _CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")


def _make_namespace() -> int:
    """A descriptor of a new one; made by a thread, as whoever makes one is in it."""
    made: list[int] = []

    def make() -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.unshare(_CLONE_NEWNET) == 0:
            made.append(os.open(_OWN, os.O_RDONLY))

    thread = threading.Thread(target=make)
    thread.start()
    thread.join()
    (descriptor,) = made
    return descriptor


class Machine:
    """One on the network, with its address."""

    def __init__(self, name: str, address: str, namespace: int) -> None:
        self.name = name
        self.address = address
        self._namespace = namespace
        self.path = f"/proc/{os.getpid()}/fd/{namespace}"
        """Of its namespace, for programs."""

    @property
    def words(self) -> list[str]:
        """Words that run a command on it."""
        return ["nsenter", f"--net={self.path}", "--"]

    def enter(self) -> None:
        """Let this thread, or a process before it begins, be on it."""
        _enter(self._namespace)

    @contextlib.contextmanager
    def inside(self) -> Iterator[None]:
        """Let this thread be on it: the connections that it makes meanwhile are the machine's for ever."""
        own = os.open(_OWN, os.O_RDONLY)
        try:
            self.enter()
            yield
        finally:
            _enter(own)
            os.close(own)

    def connection(self, address: str, port: int, timeout: float) -> http.client.HTTPConnection:
        """A connection from it, made when it is first used."""
        return _Connection(self, address, port, timeout)

    def run(self, *words: str | Path, text: str = "") -> None:
        subprocess.run(
            [*self.words, *words], input=text, env=environment(), text=True, check=True, stdout=subprocess.DEVNULL
        )

    def close(self) -> None:
        os.close(self._namespace)


class _Connection(http.client.HTTPConnection):
    def __init__(self, machine: Machine, address: str, port: int, timeout: float) -> None:
        super().__init__(address, port, timeout=timeout)
        self._machine = machine

    def connect(self) -> None:
        with self._machine.inside():
            super().connect()


class Network:
    """A switch and the machines at it."""

    def __init__(self, names: Iterable[str]) -> None:
        self._switch = Machine("switch", "", _make_namespace())
        self._ip(self._switch, "link add br0 type bridge", "link set br0 up")
        self.machines: dict[str, Machine] = {}
        for number, name in enumerate(names, 10):
            machine = Machine(name, f"{PREFIX}.{number}", _make_namespace())
            cable = self._cable(machine)
            self._ip(
                self._switch,
                f"link add {cable} type veth peer name eth0 netns {machine.path}",
                f"link set {cable} master br0",
                f"link set {cable} up",
            )
            self._ip(machine, "link set lo up", f"addr add {machine.address}/24 dev eth0", "link set eth0 up")
            self.machines[name] = machine

    @contextlib.contextmanager
    def unplugged(self, machine: Machine) -> Iterator[None]:
        """Pull its cable, and put it back."""
        self._ip(self._switch, f"link set {self._cable(machine)} down")
        try:
            yield
        finally:
            self._ip(self._switch, f"link set {self._cable(machine)} up")

    @contextlib.contextmanager
    def cut(self, machine: Machine, *others: Machine) -> Iterator[None]:
        """Let nothing pass between it and others, without a word to either side."""
        addresses = ", ".join(other.address for other in others)
        rules = "".join(
            f"chain {hook} {{ type filter hook {hook} priority 0; ip {side} {{ {addresses} }} drop; }}\n"
            for hook, side in (("input", "saddr"), ("output", "daddr"))
        )
        machine.run("nft", "--file", "-", text=f"table ip cut {{\n{rules}}}\n")
        try:
            yield
        finally:
            machine.run("nft", "delete", "table", "ip", "cut")

    def close(self) -> None:
        for machine in (self._switch, *self.machines.values()):
            machine.close()

    @staticmethod
    def _cable(machine: Machine) -> str:
        return f"v-{machine.name}"

    @staticmethod
    def _ip(machine: Machine, *lines: str) -> None:
        machine.run("ip", "-batch", "-", text="\n".join(lines))


@contextlib.contextmanager
def network(names: Iterable[str]) -> Iterator[Network]:
    made = Network(names)
    try:
        yield made
    finally:
        made.close()
