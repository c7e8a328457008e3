"""A device that answers as it should not, with Python alone: python slow.py PORT [SERIAL]

PORT: Modbus TCP. SERIAL: RTU. Holding registers hold their own addresses. Unit 2 answers 0.8 s late, unit 3 with one
register too few, unit 4 under the id 255. One request after the other, on a line also across clients.
"""
import os
import socketserver
import struct
import sys
import threading
import time
import tty


def crc(data):
    value = 0xFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = (value >> 1) ^ 0xA001 if value & 1 else value >> 1
    return struct.pack("<H", value)


def answer(unit, function, address, count):
    """Unit id and PDU."""
    if unit == 2:
        time.sleep(0.8)
    count -= unit == 3
    words = [(address + offset) & 0xFFFF for offset in range(count)]
    pdu = struct.pack(f">BB{count}H", function, 2 * count, *words)
    return bytes([255 if unit == 4 else unit]) + pdu


class Tcp(socketserver.StreamRequestHandler):
    def handle(self):
        while len(request := self.rfile.read(12)) == 12:
            transaction, _, _, unit, function, address, count = struct.unpack(">HHHBBHH", request)
            frame = answer(unit, function, address, count)
            try:
                self.wfile.write(struct.pack(">HHH", transaction, 0, len(frame)) + frame)
            except OSError:
                return


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


def line(path):
    port = os.open(path, os.O_RDWR | os.O_NOCTTY)
    tty.setraw(port)
    request = b""
    while True:
        request += os.read(port, 256)
        while len(request) >= 8:
            frame = answer(*struct.unpack(">BBHH", request[:6]))
            os.write(port, frame + crc(frame))
            request = request[8:]


if len(sys.argv) > 2:
    threading.Thread(target=line, args=(sys.argv[2],), daemon=True).start()
with Server(("127.0.0.1", int(sys.argv[1])), Tcp) as server:
    print("peer up", flush=True)
    server.serve_forever()
