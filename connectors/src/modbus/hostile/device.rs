//! A device, or a line with units, in the same process.

use std::{
    collections::VecDeque,
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::FutureExt as _;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex},
    sync::mpsc,
    time::{Instant, sleep_until},
};

/// No answer comes at once, so that times tell what was asked before what was delivered.
const LATENCY: Duration = Duration::from_millis(2);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Tcp,
    RtuOverTcp,
    Serial,
}

/// The way to a device.
#[derive(Clone, Debug)]
pub struct Door(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    kind: Kind,
    sender: mpsc::Sender<DuplexStream>,
    receiver: std::sync::Mutex<Option<mpsc::Receiver<DuplexStream>>>,
    is_refusing: AtomicBool,
    is_black_hole: AtomicBool,
}

impl PartialEq for Door {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Door {}

impl Door {
    pub(super) fn new(kind: Kind) -> Self {
        let (sender, receiver) = mpsc::channel(64);
        Self(Arc::new(Inner {
            kind,
            sender,
            receiver: std::sync::Mutex::new(Some(receiver)),
            is_refusing: AtomicBool::new(false),
            is_black_hole: AtomicBool::new(false),
        }))
    }

    pub(super) fn refuse(&self, is_refusing: bool) {
        self.0.is_refusing.store(is_refusing, Ordering::Relaxed);
    }

    pub(super) fn swallow(&self, is_black_hole: bool) {
        self.0.is_black_hole.store(is_black_hole, Ordering::Relaxed);
    }

    pub(in crate::modbus) fn is_rtu(&self) -> bool {
        self.0.kind != Kind::Tcp
    }

    pub(in crate::modbus) fn is_serial(&self) -> bool {
        self.0.kind == Kind::Serial
    }

    pub(in crate::modbus) async fn connect(&self) -> io::Result<DuplexStream> {
        if self.0.is_black_hole.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
        if self.0.is_refusing.load(Ordering::Relaxed) {
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        let (ours, theirs) = duplex(1 << 16);
        self.0.sender.try_send(theirs).map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?;
        Ok(ours)
    }
}

/// One request.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) at: Instant,
    pub(super) since_start: Duration,
    kind: Kind,
    transaction: u16,
    /// How many came before it.
    number: u16,
    pub(super) unit: u8,
    pub(super) function: u8,
    pub(super) address: u16,
    pub(super) count: u16,
    /// As it came.
    pub(super) raw: Vec<u8>,
}

/// What the device does about it, one after the other.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Send(Vec<u8>),
    Wait(Duration),
    Close,
}

impl Asked {
    pub(super) fn covers(&self, address: u16) -> bool {
        (self.address..self.address.saturating_add(self.count)).contains(&address)
    }

    /// Data of `count` registers: at an even address the address, at an odd one the number of the request.
    pub(super) fn data(&self, count: u16) -> Vec<u8> {
        let words = (self.address..self.address + count)
            .map(|it| if it % 2 == 0 { it } else { self.number });
        words.flat_map(u16::to_be_bytes).collect()
    }

    /// PDU of an answer with so many registers.
    pub(super) fn pdu(&self, count: u16) -> Vec<u8> {
        let data = self.data(count);
        [&[self.function, u8::try_from(data.len()).expect("a short answer")], &data[..]].concat()
    }

    pub(super) fn frame(&self, unit: u8, pdu: &[u8]) -> Vec<u8> {
        self.frame_of(self.transaction, 0, unit, pdu)
    }

    /// With another transaction and protocol; RTU has neither.
    pub(super) fn frame_of(
        &self,
        transaction: u16,
        protocol: u16,
        unit: u8,
        pdu: &[u8],
    ) -> Vec<u8> {
        if self.kind != Kind::Tcp {
            let mut frame = [&[unit], pdu].concat();
            frame.extend(crc(&frame).to_le_bytes());
            return frame;
        }
        let length = u16::try_from(pdu.len() + 1).expect("a short answer");
        let head = [transaction, protocol, length].map(u16::to_be_bytes).concat();
        [&head[..], &[unit], pdu].concat()
    }

    pub(super) fn transaction(&self) -> u16 {
        self.transaction
    }

    /// The bytes of the right answer.
    pub(super) fn answer(&self) -> Vec<u8> {
        self.frame(self.unit, &self.pdu(self.count))
    }

    pub(super) fn right(&self) -> Vec<Step> {
        vec![Step::Send(self.answer())]
    }
}

/// Checksum of RTU frames (Modbus over Serial Line 1.02, 6.2.2).
fn crc(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0xffff_u16, |crc, byte| {
        (0..8).fold(crc ^ u16::from(*byte), |crc, _| {
            if crc & 1 == 1 { (crc >> 1) ^ 0xa001 } else { crc >> 1 }
        })
    })
}

type Behaviour<'a> = Box<dyn FnMut(&Asked) -> Vec<Step> + 'a>;

/// Answers whatever comes through the door, one connection at a time. On a line what has been said is heard by whoever
/// listens by then.
pub(super) struct Device<'a> {
    pub(super) start: Instant,
    pub(super) asked: Vec<Asked>,
    kind: Kind,
    accept: mpsc::Receiver<DuplexStream>,
    stream: Option<DuplexStream>,
    buffer: Vec<u8>,
    steps: VecDeque<(Instant, Step)>,
    behaviour: Behaviour<'a>,
}

impl<'a> Device<'a> {
    pub(super) fn new(door: &Door, behaviour: impl FnMut(&Asked) -> Vec<Step> + 'a) -> Self {
        let mut receiver = door.0.receiver.lock().expect("nobody panics with it");
        Self {
            start: Instant::now(),
            asked: Vec::new(),
            kind: door.0.kind,
            accept: receiver.take().expect("one device a door"),
            stream: None,
            buffer: Vec::new(),
            steps: VecDeque::new(),
            behaviour: Box::new(behaviour),
        }
    }

    pub(super) async fn serve(&mut self) {
        loop {
            let due = self.steps.front().map(|(at, _)| *at);
            let mut bytes = [0; 512];
            tokio::select! {
                stream = self.accept.recv() => self.accepted(stream.expect("the door lives")),
                read = read(&mut self.stream, &mut bytes) => match read {
                    0 => self.stream = None,
                    read => self.received(&bytes[..read]),
                },
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                    self.step().await;
                }
            }
        }
    }

    /// Only one client is allowed at a time.
    fn accepted(&mut self, stream: DuplexStream) {
        if let Some(old) = &mut self.stream {
            let mut rest = [0; 512];
            let is_gone = old
                .read(&mut rest)
                .now_or_never()
                .is_some_and(|read| read.map_or(true, |read| read == 0));
            if !is_gone {
                return;
            }
        }
        self.buffer.clear();
        if self.kind != Kind::Serial {
            self.steps.clear();
        }
        self.stream = Some(stream);
    }

    fn received(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
        let (head, length) = if self.kind == Kind::Tcp { (6, 12) } else { (0, 8) };
        while self.buffer.len() >= length {
            let raw: Vec<_> = self.buffer.drain(..length).collect();
            let word = |at: usize| u16::from_be_bytes([raw[at], raw[at + 1]]);
            let asked = Asked {
                at: Instant::now(),
                since_start: self.start.elapsed(),
                kind: self.kind,
                transaction: word(0),
                number: u16::try_from(self.asked.len() & 0xffff).expect("16 bits"),
                unit: raw[head],
                function: raw[head + 1],
                address: word(head + 2),
                count: word(head + 4),
                raw: raw.clone(),
            };
            // It keeps two answers waiting, and does not hear what it is asked meanwhile.
            if self.steps.len() >= 4 {
                self.asked.push(asked);
                continue;
            }
            // One after the other: what is late makes what follows late.
            let at = self.steps.back().map_or(asked.at, |(at, _)| (*at).max(asked.at));
            let mut at = at + LATENCY;
            for step in (self.behaviour)(&asked) {
                if let Step::Wait(time) = step {
                    at += time;
                } else {
                    self.steps.push_back((at, step));
                }
            }
            self.asked.push(asked);
        }
    }

    async fn step(&mut self) {
        let Some((_, step)) = self.steps.pop_front() else { return };
        match (step, &mut self.stream) {
            (Step::Close, _) => self.stream = None,
            (Step::Send(bytes), Some(stream)) => {
                // The client may be gone by now.
                stream.write_all(&bytes).await.ok();
            }
            _ => {}
        }
    }
}

async fn read(stream: &mut Option<DuplexStream>, bytes: &mut [u8]) -> usize {
    match stream {
        Some(stream) => stream.read(bytes).await.unwrap_or_default(),
        None => std::future::pending().await,
    }
}
