//! A Modbus TCP device that does what a test tells it to. Every holding register holds its own address, so that a value
//! says what was asked for.

use std::{cell::RefCell, convert::Infallible, time::Duration};

use futures_util::{StreamExt, stream::FuturesUnordered};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::sleep,
};

/// One request, as it came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    /// Number of the connection, from 0.
    pub(crate) connection: usize,
    pub(crate) transaction: u16,
    pub(crate) unit: u8,
    pub(crate) function: u8,
    pub(crate) address: u16,
    pub(crate) count: u16,
    /// First record and number of registers, for a part of a file.
    record: u16,
    records: u16,
}

/// What the device does about it.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    Bytes(Vec<u8>),
    /// The bytes, one piece after the other, each in a segment of its own.
    Pieces(Vec<Vec<u8>>),
    /// The bytes, but only after a while.
    Late(Duration, Vec<u8>),
    Silence,
    /// An orderly end of the connection.
    Close,
    /// RST.
    Reset,
}

impl Asked {
    /// An answer with this PDU.
    pub(crate) fn frame(&self, pdu: &[u8]) -> Vec<u8> {
        frame(self.transaction, self.unit, pdu)
    }

    /// The right answer: registers hold their addresses, bits are on at odd addresses.
    pub(crate) fn right(&self) -> Vec<u8> {
        let addresses = (0..self.count).map(|offset| self.address.wrapping_add(offset));
        if self.function <= 2 {
            let mut bytes = vec![0_u8; usize::from(self.count).div_ceil(8)];
            for (offset, address) in addresses.enumerate() {
                bytes[offset / 8] |= u8::from(address % 2 == 1) << (offset % 8);
            }
            self.frame(&pdu(self.function, &bytes))
        } else {
            self.registers(addresses)
        }
    }

    /// An answer with these registers, however many were asked for.
    pub(crate) fn registers(&self, values: impl Iterator<Item = u16>) -> Vec<u8> {
        let bytes: Vec<u8> = values.flat_map(u16::to_be_bytes).collect();
        self.frame(&pdu(self.function, &bytes))
    }

    /// File, first record and number of registers, if a part of a file is asked for.
    pub(crate) fn part(&self) -> Option<(u16, u16, u16)> {
        // Behind byte count and reference type the file stands where others have their count.
        (self.function == 0x14).then_some((self.count, self.record, self.records))
    }

    /// An answer with these records of a file.
    pub(crate) fn file_records(&self, values: std::ops::Range<u16>) -> Vec<u8> {
        let bytes: Vec<u8> = values.flat_map(u16::to_be_bytes).collect();
        let length = u8::try_from(bytes.len()).expect("a short part");
        let mut pdu = vec![0x14, length + 2, length + 1, 6];
        pdu.extend(bytes);
        self.frame(&pdu)
    }

    pub(crate) fn exception(&self, code: u8) -> Reply {
        Reply::Bytes(self.frame(&[self.function | 0x80, code]))
    }

    /// Whether the request covers this address.
    pub(crate) fn covers(&self, address: u16) -> bool {
        (self.address..self.address + self.count).contains(&address)
    }
}

fn pdu(function: u8, bytes: &[u8]) -> Vec<u8> {
    let mut pdu = vec![function, u8::try_from(bytes.len()).expect("at most 250 bytes")];
    pdu.extend(bytes);
    pdu
}

/// MBAP header and PDU.
pub(crate) fn frame(transaction: u16, unit: u8, pdu: &[u8]) -> Vec<u8> {
    let length = u16::try_from(pdu.len() + 1).expect("a short PDU");
    let mut frame = Vec::new();
    frame.extend(transaction.to_be_bytes());
    frame.extend([0, 0]);
    frame.extend(length.to_be_bytes());
    frame.push(unit);
    frame.extend(pdu);
    frame
}

/// Serves any number of connections at once, for ever.
pub(crate) async fn serve(
    listener: TcpListener,
    answer: impl FnMut(&Asked) -> Reply,
) -> Infallible {
    let answer = RefCell::new(answer);
    let mut connections = FuturesUnordered::new();
    let mut accepted = 0;
    loop {
        tokio::select! {
            connection = listener.accept() => {
                let (stream, _) = connection.expect("a listener accepts");
                connections.push(talk(stream, accepted, &answer));
                accepted += 1;
            }
            Some(()) = connections.next() => {}
        }
    }
}

async fn talk(
    mut stream: TcpStream,
    connection: usize,
    answer: &RefCell<impl FnMut(&Asked) -> Reply>,
) {
    stream.set_nodelay(true).expect("TCP_NODELAY can be set");
    let mut request = [0; 16];
    while stream.read_exact(&mut request[..6]).await.is_ok() {
        let rest = 6..6 + usize::from(u16::from_be_bytes([request[4], request[5]]));
        if stream.read_exact(&mut request[rest]).await.is_err() {
            return;
        }
        let word = |at: usize| u16::from_be_bytes([request[at], request[at + 1]]);
        let asked = Asked {
            connection,
            transaction: word(0),
            unit: request[6],
            function: request[7],
            address: word(8),
            count: word(10),
            record: word(12),
            records: word(14),
        };
        let reply = answer.borrow_mut()(&asked);
        let pieces = match reply {
            Reply::Bytes(bytes) => vec![bytes],
            Reply::Pieces(pieces) => pieces,
            Reply::Late(delay, bytes) => {
                sleep(delay).await;
                vec![bytes]
            }
            Reply::Silence => continue,
            Reply::Close => return,
            Reply::Reset => {
                stream.set_zero_linger().expect("linger can be set");
                return;
            }
        };
        for (index, piece) in pieces.iter().enumerate() {
            if index > 0 {
                sleep(Duration::from_millis(2)).await;
            }
            // The client may be gone by now: that is what some tests are about.
            if stream.write_all(piece).await.is_err() {
                return;
            }
        }
    }
}
