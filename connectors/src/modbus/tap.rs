//! A stream that remembers the last request and its answer as they were on the wire, and that refuses to send while
//! bytes are waiting that nobody has asked for: they would be taken for the answer.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::transport::Wire;

/// So many bytes of a request and of an answer are kept: a whole RTU frame.
pub(super) const KEPT: usize = 256;

/// What has gone over the wire since [`Recorder::begin`].
#[derive(Debug, Default)]
pub(super) struct Record {
    pub(super) sent: Vec<u8>,
    pub(super) received: Vec<u8>,
    /// All bytes received, kept or not.
    pub(super) bytes: u64,
    is_fresh: bool,
    /// Bytes that nobody had asked for were there.
    pub(super) is_unsolicited: bool,
}

/// The other end of a [`Tap`]: what it has seen. One of each, used in turn by one task, so the lock is never waited
/// for.
#[derive(Clone, Debug, Default)]
pub(super) struct Recorder(Arc<Mutex<Record>>);

impl Recorder {
    /// A request is about to be made.
    pub(super) fn begin(&self) {
        let mut record = self.lock();
        record.sent.clear();
        record.received.clear();
        record.bytes = 0;
        record.is_fresh = true;
        record.is_unsolicited = false;
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Record> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Tap {
    wire: Box<dyn Wire>,
    recorder: Recorder,
    /// On a serial line noise between frames is ordinary and is thrown away; on TCP nothing may be there.
    discards: bool,
}

impl Tap {
    pub(super) fn new(wire: Box<dyn Wire>, discards: bool) -> (Self, Recorder) {
        let recorder = Recorder::default();
        (Self { wire, recorder: recorder.clone(), discards }, recorder)
    }

    /// Looks for bytes that came before the request.
    fn check_idle(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        let mut scratch = [0; KEPT];
        // A line that never falls silent is no line to send on: four looks take all that a frame can be.
        for _ in 0..4 {
            let mut buffer = ReadBuf::new(&mut scratch);
            match Pin::new(&mut self.wire).poll_read(context, &mut buffer) {
                Poll::Pending => return Ok(()),
                Poll::Ready(Err(cause)) => return Err(cause),
                Poll::Ready(Ok(())) if buffer.filled().is_empty() => {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                Poll::Ready(Ok(())) if self.discards => {}
                Poll::Ready(Ok(())) => break,
            }
        }
        self.recorder.lock().is_unsolicited = true;
        Err(io::Error::new(io::ErrorKind::InvalidData, "bytes came that nobody had asked for"))
    }
}

impl AsyncRead for Tap {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.wire).poll_read(context, buffer))?;
        let read = buffer.filled().get(before..).unwrap_or_default();
        let mut record = self.recorder.lock();
        record.bytes += read.len() as u64;
        let room = KEPT.saturating_sub(record.received.len()).min(read.len());
        record.received.extend_from_slice(read.get(..room).unwrap_or_default());
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Tap {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let is_fresh = std::mem::take(&mut self.recorder.lock().is_fresh);
        if is_fresh {
            self.check_idle(context)?;
        }
        let written = ready!(Pin::new(&mut self.wire).poll_write(context, bytes))?;
        let mut record = self.recorder.lock();
        let room = KEPT.saturating_sub(record.sent.len()).min(written);
        record.sent.extend_from_slice(bytes.get(..room).unwrap_or_default());
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire).poll_shutdown(context)
    }
}
