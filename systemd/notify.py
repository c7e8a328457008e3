#!/usr/bin/env python3
"""Plays the service manager:  notify.py COMMAND...

Starts the command with a notification socket and a watchdog of two seconds, as bellwether.service does, and expects
READY, then the watchdog three times, after SIGHUP RELOADING and READY, then after SIGTERM STOPPING and exit code 0. Every wait is bounded.
"""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time

READY_S, WATCHDOG_S, RELOAD_S, STOP_S = 30, 2, 10, 15


def expect(peer, wanted, seconds):
    """The seconds until a message with this line came."""
    begin = time.monotonic()
    while (left := begin + seconds - time.monotonic()) > 0:
        peer.settimeout(left)
        try:
            lines = peer.recv(4096).decode().split("\n")
        except TimeoutError:
            break
        if wanted in lines:
            return time.monotonic() - begin
    raise SystemExit(f"no {wanted} within {seconds} s")


def main():
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as peer:
        path = os.path.join(folder, "notify")
        peer.bind(path)
        # The command may change its user.
        os.chmod(folder, 0o755)
        os.chmod(path, 0o777)
        environment = os.environ | {"NOTIFY_SOCKET": path, "WATCHDOG_USEC": str(WATCHDOG_S * 1_000_000)}
        environment.pop("WATCHDOG_PID", None)
        service = subprocess.Popen(sys.argv[1:], env=environment)
        try:
            print(f"READY after {expect(peer, 'READY=1', READY_S):.2f} s")
            for _ in range(3):
                expect(peer, "WATCHDOG=1", WATCHDOG_S)
            service.send_signal(signal.SIGHUP)
            expect(peer, "RELOADING=1", RELOAD_S)
            expect(peer, "READY=1", RELOAD_S)
            service.send_signal(signal.SIGTERM)
            expect(peer, "STOPPING=1", STOP_S)
            if code := service.wait(STOP_S):
                raise SystemExit(f"ended with exit code {code} after SIGTERM")
        finally:
            if service.poll() is None:
                service.kill()
                service.wait()


main()
