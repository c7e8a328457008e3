//! Modbus devices in a process of their own: this program, started again with a number in its environment.

use std::{
    env,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::Instant,
};

use anyhow::Context as _;

const SERVE: &str = "BELLWETHER_BENCH_DEVICES";
/// Different pictures of a device's registers.
const ROWS: usize = 64;

/// The devices; they end with this.
#[derive(Debug)]
pub(crate) struct Devices {
    child: Child,
    pub(crate) addresses: Vec<SocketAddr>,
}

impl Devices {
    pub(crate) fn start(count: usize) -> anyhow::Result<Self> {
        let mut child = Command::new(env::current_exe()?)
            .env(SERVE, count.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        let output = child.stdout.take().context("the output is piped")?;
        BufReader::new(output).read_line(&mut line)?;
        let addresses = line.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
        Ok(Self { child, addresses })
    }
}

impl Drop for Devices {
    fn drop(&mut self) {
        // It may have ended by itself; there is nothing to do about an error here.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Whether this process is to be the devices, and how many.
pub(crate) fn asked_to_serve() -> Option<usize> {
    env::var(SERVE).ok()?.parse().ok()
}

/// Serves until it is killed.
pub(crate) fn serve(count: usize) -> anyhow::Result<()> {
    let mut threads = Vec::new();
    let mut addresses = Vec::new();
    for _ in 0..count {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        addresses.push(listener.local_addr()?.to_string());
        threads.push(thread::spawn(move || accept(&listener, &Arc::default())));
    }
    println!("{}", addresses.join(" "));
    threads.into_iter().for_each(|thread| {
        thread.join().ok();
    });
    Ok(())
}

/// A device in a thread of this process, which notes when it has written the last byte of an answer.
pub(crate) fn serve_here(written: Arc<Mutex<Option<Instant>>>) -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    thread::spawn(move || accept(&listener, &written));
    Ok(address)
}

/// Half of them refuse a connection, the others take it and are silent; the listeners must be kept.
pub(crate) fn unreachable(count: usize) -> anyhow::Result<Vec<(SocketAddr, Option<TcpListener>)>> {
    (0..count)
        .map(|index| {
            let listener = TcpListener::bind("127.0.0.1:0")?;
            let address = listener.local_addr()?;
            Ok((address, (index % 2 == 0).then_some(listener)))
        })
        .collect()
}

fn accept(listener: &TcpListener, written: &Arc<Mutex<Option<Instant>>>) {
    for stream in listener.incoming().flatten() {
        let written = Arc::clone(written);
        thread::spawn(move || talk(stream, &written));
    }
}

/// Answers reads of registers until the other end hangs up.
fn talk(mut stream: TcpStream, written: &Mutex<Option<Instant>>) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let rows = rows();
    let mut row = rows.iter().cycle();
    let mut request = [0; 12];
    let mut answer = Vec::with_capacity(260);
    loop {
        stream.read_exact(&mut request).ok()?;
        let bytes = u8::try_from(2 * u16::from_be_bytes([request[10], request[11]])).ok()?;
        answer.clear();
        answer.extend_from_slice(&request[..4]);
        answer.extend_from_slice(&[0, bytes + 3, request[6], request[7], bytes]);
        answer.extend_from_slice(row.next()?.get(..bytes.into())?);
        stream.write_all(&answer).ok()?;
        *written.lock().ok()? = Some(Instant::now());
    }
}

/// Registers about 1,000, with noise (SplitMix64).
fn rows() -> Vec<Vec<u8>> {
    let mut state = 1;
    let mut word = || u16::try_from(1_000 + super::plant::noise(&mut state) % 100).unwrap_or(1_000);
    (0..ROWS).map(|_| (0..126).flat_map(|_| word().to_be_bytes()).collect()).collect()
}
