"""Modbus servers with pymodbus, for the tests of Bellwether: python server.py PORT [SERIAL]

PORT: Modbus TCP. PORT + 1: RTU frames over TCP. SERIAL: RTU at 19200 Bd on that device.
Units 1 and 2 have 1000 holding registers each, which hold their own addresses; unit 2 answers 0.8 s late.
"""
import asyncio
import sys

from pymodbus import FramerType, ModbusDeviceIdentification
from pymodbus.server import ModbusSerialServer, ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice


async def late(*_):
    await asyncio.sleep(0.8)


def devices():
    def device(unit, action=None):
        words = [SimData(0, values=list(range(1000)), datatype=DataType.REGISTERS)]
        return SimDevice(unit, simdata=words, action=action)

    return [device(1), device(2, late)]


async def main():
    port = int(sys.argv[1])
    told = ModbusDeviceIdentification(info_name={"VendorName": "Test maker", "ProductCode": "T1"})
    servers = [
        ModbusTcpServer(devices(), identity=told, address=("127.0.0.1", port)),
        ModbusTcpServer(devices(), framer=FramerType.RTU, address=("127.0.0.1", port + 1)),
    ]
    if len(sys.argv) > 2:
        line = sys.argv[2]
        servers.append(ModbusSerialServer(
            devices(), framer=FramerType.RTU, port=line, baudrate=19200))
    print("peer up", flush=True)
    await asyncio.gather(*(server.serve_forever() for server in servers))


asyncio.run(main())
