//! The TCP connection under the OPC UA client: `TCP_NODELAY`, a deadline on connecting, a count of bytes, and a limit on
//! the size a message chunk may declare (the library would buffer whatever a server announces, up to 4 GiB).

use std::{
    io,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use opcua::{
    client::{
        ConnectionSource,
        transport::{
            Connector, OutgoingMessage, SecureChannelState, StreamConnection, StreamConnector,
            StreamTransport, TransportConfiguration,
        },
    },
    core::comms::tcp_codec::TcpCodec,
    types::{DecodingOptions, EndpointDescription, Error, StatusCode},
};
use tokio::{
    io::{AsyncRead, ReadBuf},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::mpsc,
    time::timeout,
};
use tokio_util::codec::FramedRead;

use super::EndpointUrl;

/// Largest message chunk a server may send; told to it in the hello message.
pub(super) const MAX_CHUNK_BYTES: usize = 64 * 1024;
/// Largest message in all its chunks: a browse answer or some bursts of waveforms fit, an attack does not.
pub(super) const MAX_MESSAGE_BYTES: usize = 6 << 20;
/// Every message chunk begins with its type (4 bytes) and its size (4 bytes, little-endian; Part 6, 7.1.2).
const HEADER_BYTES: usize = 8;
/// Last byte of the type of a chunk that is not the last of its message.
const INTERMEDIATE: u8 = b'C';

/// Opens the connection. Clones share the count of bytes and the memory of the last failure.
#[derive(Clone, Debug)]
pub(super) struct TcpConnector {
    url: EndpointUrl,
    timeout: Duration,
    bytes: Arc<AtomicU64>,
    failure: Arc<Mutex<Option<io::Error>>>,
}

impl TcpConnector {
    pub(super) fn new(url: EndpointUrl, timeout: Duration) -> Self {
        Self { url, timeout, bytes: Arc::default(), failure: Arc::default() }
    }

    /// The same connector for the server's endpoint path.
    pub(super) fn to(&self, url: EndpointUrl) -> Self {
        Self { url, ..self.clone() }
    }

    /// Bytes received since this was asked last.
    pub(super) fn take_bytes(&self) -> u64 {
        self.bytes.swap(0, Ordering::Relaxed)
    }

    /// What the system said when connecting failed last; the library passes on status codes only.
    pub(super) fn take_failure(&self) -> Option<io::Error> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    async fn open(&self, options: DecodingOptions) -> Result<Stream, Error> {
        let connecting = async {
            let host = self.url.host.trim_start_matches('[').trim_end_matches(']');
            let stream = TcpStream::connect((host, self.url.port)).await?;
            stream.set_nodelay(true)?;
            Ok(stream)
        };
        let stream = match timeout(self.timeout, connecting).await {
            Ok(stream) => stream,
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        };
        let stream = stream.map_err(|cause: io::Error| {
            let error = Error::new(StatusCode::BadCommunicationError, cause.to_string());
            *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(cause);
            error
        })?;
        let (reader, writer) = stream.into_split();
        let guard = ChunkGuard::default();
        let reader = GuardedReader { reader, guard, bytes: Arc::clone(&self.bytes) };
        let frames = FramedRead::new(reader, TcpCodec::new(options));
        Ok(StreamConnection::new(frames, writer, self.url.to_string()))
    }
}

type Stream = StreamConnection<GuardedReader, OwnedWriteHalf>;

impl Connector for TcpConnector {
    type Transport = StreamTransport<GuardedReader, OwnedWriteHalf>;

    async fn connect(
        &self,
        channel: Arc<SecureChannelState>,
        outgoing: mpsc::Receiver<OutgoingMessage>,
        config: TransportConfiguration,
    ) -> Result<Self::Transport, Error> {
        let open = |_url: String, options: DecodingOptions| self.open(options);
        let connector = StreamConnector::new(open, self.url.to_string());
        connector.connect(channel, outgoing, config).await
    }

    fn default_endpoint(&self) -> EndpointDescription {
        EndpointDescription::from(self.url.to_string().as_str())
    }
}

impl ConnectionSource for TcpConnector {
    type Builder = Self;

    fn get_connector(&self, _endpoint: &EndpointDescription) -> Result<Self, Error> {
        Ok(self.clone())
    }
}

/// Follows the chunks in a stream of bytes and stops at one that declares too large a size.
#[derive(Debug, Default)]
struct ChunkGuard {
    header: [u8; HEADER_BYTES],
    /// Bytes of the present chunk seen so far, while in its header.
    seen: usize,
    /// Bytes of the present chunk still to come, behind its header.
    left: usize,
    /// Bytes of the chunks since the last one that ended a message. The library would keep them all in memory.
    unfinished: usize,
}

impl ChunkGuard {
    fn observe(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while let Some((&first, rest)) = bytes.split_first() {
            if self.left > 0 {
                let skipped = self.left.min(bytes.len());
                self.left -= skipped;
                bytes = bytes.get(skipped..).unwrap_or_default();
                continue;
            }
            if let Some(slot) = self.header.get_mut(self.seen) {
                *slot = first;
            }
            self.seen += 1;
            bytes = rest;
            if self.seen == HEADER_BYTES {
                self.left = self.body_length()?;
                self.seen = 0;
            }
        }
        Ok(())
    }

    fn body_length(&mut self) -> io::Result<usize> {
        let [_, _, _, kind, size @ ..] = self.header;
        let size = u32::from_le_bytes(size) as usize;
        if !(HEADER_BYTES..=MAX_CHUNK_BYTES).contains(&size) {
            let text =
                format!("a message chunk of {size} bytes is not between 8 and {MAX_CHUNK_BYTES}");
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        self.unfinished += size;
        if self.unfinished > MAX_MESSAGE_BYTES {
            let text = format!("a message of more than {MAX_MESSAGE_BYTES} bytes");
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        if kind != INTERMEDIATE {
            self.unfinished = 0;
        }
        Ok(size - HEADER_BYTES)
    }
}

/// The receiving half of the connection, watched.
#[derive(Debug)]
pub(super) struct GuardedReader {
    reader: OwnedReadHalf,
    guard: ChunkGuard,
    bytes: Arc<AtomicU64>,
}

impl AsyncRead for GuardedReader {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.reader).poll_read(context, buffer))?;
        let fresh = buffer.filled().get(before..).unwrap_or_default();
        self.bytes.fetch_add(fresh.len() as u64, Ordering::Relaxed);
        Poll::Ready(self.guard.observe(fresh))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn chunk(size: u32, body: usize) -> Vec<u8> {
        let mut chunk = b"MSGF".to_vec();
        chunk.extend(size.to_le_bytes());
        chunk.resize(HEADER_BYTES + body, 0xff);
        chunk
    }

    #[test]
    fn a_chunk_that_declares_too_much_or_too_little_is_refused_at_its_header() {
        for size in [0, 7, 64 * 1024 + 1, u32::MAX] {
            let error = ChunkGuard::default().observe(&chunk(size, 0)).expect_err("a wrong size");
            assert!(error.to_string().contains(&size.to_string()), "{error}");
        }
        assert!(ChunkGuard::default().observe(&chunk(64 * 1024, 0)).is_ok());
        assert!(ChunkGuard::default().observe(&chunk(8, 0)).is_ok());
    }

    #[test]
    fn a_message_without_end_is_refused_however_many_chunks_it_has() {
        let mut guard = ChunkGuard::default();
        let mut endless = chunk(64 * 1024, 64 * 1024 - HEADER_BYTES);
        let last = endless.clone();
        endless[3] = INTERMEDIATE;
        for _ in 0..2 {
            for _ in 0..MAX_MESSAGE_BYTES / endless.len() - 1 {
                guard.observe(&endless).expect("it may still end");
            }
            guard.observe(&last).expect("it has ended in time");
        }
        let refused =
            (0..=MAX_MESSAGE_BYTES / endless.len()).any(|_| guard.observe(&endless).is_err());
        assert!(refused);
    }

    proptest! {
        #[test]
        fn chunks_are_followed_however_the_bytes_are_cut(
            bodies in proptest::collection::vec(0..300_usize, 1..8), cut in 1..40_usize,
        ) {
            let mut bytes: Vec<u8> = Vec::new();
            for body in &bodies {
                bytes.extend(chunk(u32::try_from(body + HEADER_BYTES).expect("small"), *body));
            }
            let mut guard = ChunkGuard::default();
            for piece in bytes.chunks(cut) {
                prop_assert!(guard.observe(piece).is_ok());
            }
            prop_assert_eq!((guard.seen, guard.left), (0, 0));
            let mut refused = false;
            for piece in chunk(u32::MAX, 0).chunks(cut) {
                refused |= guard.observe(piece).is_err();
            }
            prop_assert!(refused);
        }
    }
}
