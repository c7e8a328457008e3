//! What Modbus travels on: TCP, TCP with TLS (Modbus/TCP Security), RTU frames over TCP, RTU on a serial line. Opens
//! the stream; what is asked over it is the business of `link`.

use std::{io, path::PathBuf, time::Duration};

use serde::Deserialize;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::timeout,
};
use tokio_serial::{ClearBuffer, SerialPort as _, SerialPortBuilderExt as _, SerialStream};

use super::{link::millis, tls};
use crate::SessionError;

/// How RTU and TCP differ for whoever asks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Framing {
    /// Modbus TCP.
    #[default]
    Tcp,
    /// RTU frames, checksum included, over TCP: what many serial device servers speak.
    RtuOverTcp,
    /// Modbus/TCP Security: Modbus TCP in TLS, ordinarily on port 802.
    Tls,
}

/// Parity bit of a character on a serial line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Parity {
    /// None; the standard then asks for two stop bits, few devices do.
    None,
    /// Even, the default of the standard.
    #[default]
    Even,
    /// Odd.
    Odd,
}

/// `serial = { path = "/dev/serial/by-id/…", baud = 19200, parity = "even" }`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SerialLine {
    /// The device file; one of `/dev/serial/by-id` keeps its name when adapters are plugged in another order.
    pub path: PathBuf,
    /// Bits a second.
    #[serde(default = "default_baud")]
    pub baud: u32,
    /// Parity.
    #[serde(default)]
    pub parity: Parity,
    /// Stop bits, 1 or 2; by default 1 with parity and 2 without, as the standard says.
    pub stop_bits: Option<u8>,
    /// Data bits; RTU has 8, some radio modems 7.
    #[serde(default = "default_data_bits")]
    pub data_bits: u8,
}

const fn default_baud() -> u32 {
    19_200
}

const fn default_data_bits() -> u8 {
    8
}

/// `tls = { ca_file = "/etc/bellwether/plant-ca.pem" }`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsFiles {
    /// PEM file of the authorities, or of the device's own certificate, that are trusted.
    pub ca_file: PathBuf,
    /// Name the device's certificate must bear; by default the host of `endpoint`.
    pub server_name: Option<String>,
    /// PEM file with our certificate, if the device asks for one.
    pub certificate_file: Option<PathBuf>,
    /// PEM file with the key to it.
    pub key_file: Option<PathBuf>,
}

/// Where a device is, and how it is spoken to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transport {
    /// Modbus TCP at `host:port`.
    Tcp(String),
    /// RTU frames over TCP at `host:port`.
    RtuOverTcp(String),
    /// Modbus TCP in TLS at `host:port`.
    Tls(String, TlsFiles),
    /// RTU on a serial line.
    Serial(SerialLine),
    /// A device in the same process, for tests in virtual time.
    #[cfg(test)]
    Memory(super::hostile::Door),
}

impl Transport {
    /// Where it leads, in words.
    pub fn endpoint(&self) -> String {
        match self {
            Self::Tcp(endpoint) | Self::RtuOverTcp(endpoint) | Self::Tls(endpoint, _) => {
                endpoint.clone()
            }
            Self::Serial(line) => line.path.display().to_string(),
            #[cfg(test)]
            Self::Memory(_) => "memory".to_owned(),
        }
    }

    /// Whether frames are RTU frames, which bear no transaction number.
    pub fn is_rtu(&self) -> bool {
        match self {
            Self::Tcp(_) | Self::Tls(..) => false,
            Self::RtuOverTcp(_) | Self::Serial(_) => true,
            #[cfg(test)]
            Self::Memory(door) => door.is_rtu(),
        }
    }

    /// Whether it is a line, on which whatever has been sent arrives, also after it has been opened anew.
    pub fn is_serial(&self) -> bool {
        match self {
            Self::Serial(_) => true,
            Self::Tcp(_) | Self::Tls(..) | Self::RtuOverTcp(_) => false,
            #[cfg(test)]
            Self::Memory(door) => door.is_serial(),
        }
    }
}

impl SerialLine {
    /// Stop bits, as the standard says unless the configuration says otherwise.
    pub fn stop_bits(&self) -> u8 {
        self.stop_bits.unwrap_or(if self.parity == Parity::None { 2 } else { 1 })
    }

    /// Bits of a character on the wire, with start, parity and stop bits.
    pub fn character_bits(&self) -> u32 {
        let parity = u32::from(self.parity != Parity::None);
        1 + u32::from(self.data_bits) + parity + u32::from(self.stop_bits())
    }

    /// Why the path may lead elsewhere after the next boot, and what to write instead.
    pub fn warning(&self) -> Option<String> {
        let path = self.path.to_str()?;
        let is_numbered = ["/dev/ttyUSB", "/dev/ttyACM"].iter().any(|it| path.starts_with(it));
        is_numbered.then(|| {
            format!(
                "`{path}` is numbered in the order of plugging in and may be another adapter after the next boot: \
                 use its name under /dev/serial/by-id"
            )
        })
    }

    fn open(&self) -> io::Result<SerialStream> {
        let parity = match self.parity {
            Parity::None => tokio_serial::Parity::None,
            Parity::Even => tokio_serial::Parity::Even,
            Parity::Odd => tokio_serial::Parity::Odd,
        };
        let stop_bits = match self.stop_bits() {
            1 => tokio_serial::StopBits::One,
            _ => tokio_serial::StopBits::Two,
        };
        let data_bits = match self.data_bits {
            7 => tokio_serial::DataBits::Seven,
            _ => tokio_serial::DataBits::Eight,
        };
        let port = tokio_serial::new(self.path.to_string_lossy(), self.baud)
            .parity(parity)
            .stop_bits(stop_bits)
            .data_bits(data_bits)
            .open_native_async()?;
        port.clear(ClearBuffer::All)?;
        Ok(port)
    }
}

/// A stream, whatever it is.
pub(super) trait Wire: AsyncRead + AsyncWrite + Send + Unpin + std::fmt::Debug {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + std::fmt::Debug> Wire for T {}

/// Opens the stream: `TCP_NODELAY` on TCP, empty buffers on a serial line.
pub(super) async fn open(
    transport: &Transport,
    connect_timeout: Duration,
) -> Result<Box<dyn Wire>, SessionError> {
    let endpoint = transport.endpoint();
    let address = match transport {
        Transport::Serial(line) => {
            return match line.open() {
                Ok(port) => Ok(Box::new(port)),
                Err(source) => Err(SessionError::Serial { path: endpoint, source }),
            };
        }
        Transport::Tcp(address) | Transport::RtuOverTcp(address) | Transport::Tls(address, _) => {
            address
        }
        #[cfg(test)]
        Transport::Memory(door) => {
            let connected = timeout(connect_timeout, door.connect()).await;
            return match connected {
                Ok(Ok(stream)) => Ok(Box::new(stream)),
                Ok(Err(source)) => Err(SessionError::Connect { endpoint, source }),
                Err(_) => Err(SessionError::ConnectTimeout { endpoint, timeout_ms: 0 }),
            };
        }
    };
    let connecting = async {
        let stream = TcpStream::connect(address.as_str()).await.and_then(|stream| {
            stream.set_nodelay(true)?;
            Ok(stream)
        });
        let stream = stream
            .map_err(|source| SessionError::Connect { endpoint: endpoint.clone(), source })?;
        match transport {
            Transport::Tls(_, files) => tls::wrap(stream, address, files).await,
            _ => Ok(Box::new(stream) as Box<dyn Wire>),
        }
    };
    timeout(connect_timeout, connecting).await.unwrap_or_else(|_| {
        let timeout_ms = millis(connect_timeout);
        Err(SessionError::ConnectTimeout { endpoint: endpoint.clone(), timeout_ms })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(path: &str, parity: Parity, stop_bits: Option<u8>) -> SerialLine {
        SerialLine { path: path.into(), baud: 9_600, parity, stop_bits, data_bits: 8 }
    }

    #[test]
    fn a_character_has_eleven_bits_unless_somebody_says_otherwise() {
        assert_eq!(line("/dev/a", Parity::Even, None).character_bits(), 11);
        assert_eq!(line("/dev/a", Parity::None, None).character_bits(), 11);
        assert_eq!(line("/dev/a", Parity::None, Some(1)).character_bits(), 10);
    }

    #[test]
    fn numbered_adapters_are_warned_of_and_named_ones_are_not() {
        for (path, is_warned) in [
            ("/dev/ttyUSB0", true),
            ("/dev/ttyACM3", true),
            ("/dev/ttyS0", false),
            ("/dev/serial/by-id/usb-FTDI_FT232R-if00-port0", false),
        ] {
            assert_eq!(line(path, Parity::Even, None).warning().is_some(), is_warned, "{path}");
        }
    }
}
