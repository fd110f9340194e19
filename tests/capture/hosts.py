"""Two hosts on one machine: connected network namespaces, the second with another clock, where Linux permits it.

Nothing leaves them, and they are gone when the test is over.
"""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

HERE, THERE = "10.77.0.1", "10.77.0.2"
AHEAD_S = 5000
"""Offset of the second host's monotonic clock."""
_NAMES = (f"duohand-{os.getpid()}-a", f"duohand-{os.getpid()}-b")


@contextlib.contextmanager
def two_hosts() -> Iterator[tuple[list[str], list[str]]]:
    """Command prefixes that start a program on either host. Skips where that is not possible."""
    if os.geteuid() != 0 or not shutil.which("ip") or not shutil.which("unshare"):
        pytest.skip("two hosts need root, ip and unshare")
    here, there = _NAMES
    try:
        for name in _NAMES:
            _run("ip", "netns", "add", name)
        # Named in their own namespaces only, invisible to the host's network.
        _run("ip", "-n", here, "link", "add", "cable", "type", "veth", "peer", "name", "cable", "netns", there)
        for name, address in zip(_NAMES, (HERE, THERE), strict=True):
            _run("ip", "-n", name, "address", "add", f"{address}/24", "dev", "cable")
            for device in ("cable", "lo"):
                _run("ip", "-n", name, "link", "set", device, "up")
        into_there = ["ip", "netns", "exec", there, "unshare", "--time", "--fork", "--kill-child", "--monotonic", str(AHEAD_S)]
        _run(*into_there, "true")
        yield ["ip", "netns", "exec", here], into_there
    except subprocess.CalledProcessError as error:
        pytest.skip(f"this system makes no two hosts: {' '.join(error.cmd)}: {error.stderr.strip()}")
    finally:
        for name in _NAMES:
            subprocess.run(["ip", "netns", "delete", name], capture_output=True)


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True)


def relay(port: int, seed: int, there_s: tuple[float, float], back_s: tuple[float, float]) -> None:
    """Forward from HERE's `port` to THERE's, in order, each piece after a minimum delay plus an exponential one."""
    import asyncio
    import random

    chance = random.Random(seed)

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay_s: tuple[float, float]) -> None:
        loop, due = asyncio.get_running_loop(), 0.0
        queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(64)

        async def send() -> None:
            while (item := await queue.get())[1]:
                await asyncio.sleep(max(0.0, item[0] - loop.time()))
                writer.write(item[1])
                await writer.drain()
            writer.close()

        sending = asyncio.create_task(send())
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                due = max(due, loop.time() + delay_s[0] + chance.expovariate(1 / delay_s[1]))
                await queue.put((due, data))
        await queue.put((0.0, b""))
        with contextlib.suppress(ConnectionError):
            await sending

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(THERE, port)
        far_writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await asyncio.gather(pump(reader, far_writer, there_s), pump(far_reader, writer, back_s))

    async def serve() -> None:
        server = await asyncio.start_server(connected, HERE, port)
        print("relaying", flush=True)
        async with server:
            await server.serve_forever()

    asyncio.run(serve())


if __name__ == "__main__":
    numbers = [float(word) for word in sys.argv[3:]]
    relay(int(sys.argv[1]), int(sys.argv[2]), (numbers[0], numbers[1]), (numbers[2], numbers[3]))
