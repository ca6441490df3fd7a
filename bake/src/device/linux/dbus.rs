//! As much of D-Bus as it takes to call a method and be handed an open file (D-Bus specification
//! 0.43; ADR 0105 says why it is not a crate).

use std::env;
use std::fmt::Write as _;
use std::io::{self, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};

/// Where the system's bus listens, unless the environment says otherwise.
const SOCKET: &str = "/run/dbus/system_bus_socket";
/// As long as a person may think before typing a password.
const PATIENCE: Duration = Duration::from_secs(120);
/// No answer to what we ask is longer.
const LONGEST: usize = 64 << 10;

const METHOD_CALL: u8 = 1;
const METHOD_RETURN: u8 = 2;
const ERROR: u8 = 3;
/// The service may ask the user for permission.
const INTERACTIVE: u8 = 4;

/// Why a call came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// There is no bus.
    #[error("no D-Bus: {0}")]
    NoBus(#[source] io::Error),
    /// The bus, or the service on it, said no.
    #[error("{0}")]
    Refused(String),
    /// The bus does not speak as it should.
    #[error("D-Bus: {0}")]
    Broken(&'static str),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::NoBus(error)
    }
}

/// A call of a method that takes nothing, or a string and a dictionary with one number.
#[derive(Debug)]
pub struct Call<'a> {
    /// The service.
    pub destination: &'a str,
    /// Its object.
    pub path: &'a str,
    /// The interface.
    pub interface: &'a str,
    /// The method.
    pub member: &'a str,
    /// Its arguments, of type `sa{sv}` with one `i`.
    pub body: Option<(&'a str, &'a str, u32)>,
}

/// A connection to the system's bus.
#[derive(Debug)]
pub struct Bus {
    stream: UnixStream,
    serial: u32,
}

impl Bus {
    /// Where the system's bus listens.
    pub fn system() -> PathBuf {
        let address = env::var("DBUS_SYSTEM_BUS_ADDRESS").unwrap_or_default();
        let path = address.split([';', ',']).find_map(|part| part.strip_prefix("unix:path="));
        PathBuf::from(path.unwrap_or(SOCKET))
    }

    /// Connects as the user of this process.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn connect(path: &Path) -> Result<Self, Failure> {
        let mut stream = UnixStream::connect(path)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let uid = rustix::process::geteuid().as_raw().to_string();
        stream.write_all(format!("\0AUTH EXTERNAL {}\r\n", hex::encode(uid)).as_bytes())?;
        expect(&mut stream, "OK ")?;
        stream.write_all(b"NEGOTIATE_UNIX_FD\r\n")?;
        expect(&mut stream, "AGREE_UNIX_FD")?;
        stream.write_all(b"BEGIN\r\n")?;
        let mut bus = Self { stream, serial: 0 };
        let hello = Call {
            destination: "org.freedesktop.DBus",
            path: "/org/freedesktop/DBus",
            interface: "org.freedesktop.DBus",
            member: "Hello",
            body: None,
        };
        bus.call(&hello)?;
        Ok(bus)
    }

    /// Calls a method that answers with an open file.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn call_for_fd(&mut self, call: &Call<'_>) -> Result<OwnedFd, Failure> {
        self.call(call)?.pop().ok_or(Failure::Broken("the answer holds no open file"))
    }

    fn call(&mut self, call: &Call<'_>) -> Result<Vec<OwnedFd>, Failure> {
        self.serial += 1;
        self.stream.write_all(&encode(call, self.serial))?;
        loop {
            let (message, fds) = self.receive()?;
            // Signals, and answers to nothing we asked, pass by.
            if message.reply_to != Some(self.serial) {
                continue;
            }
            match message.kind {
                METHOD_RETURN => return Ok(fds),
                ERROR => return Err(Failure::Refused(message.text)),
                _ => return Err(Failure::Broken("an answer that is none")),
            }
        }
    }

    fn receive(&mut self) -> Result<(Message, Vec<OwnedFd>), Failure> {
        let mut fds = Vec::new();
        let mut bytes = vec![0; 16];
        self.fill(&mut bytes, &mut fds)?;
        let number = |at: usize| u32::from_le_bytes([0, 1, 2, 3].map(|i| bytes[at + i])) as usize;
        if bytes[0] != b'l' || number(4) > LONGEST || number(12) > LONGEST {
            return Err(Failure::Broken("a message that is too long, or in another byte order"));
        }
        let (body, fields) = (number(4), number(12));
        let whole = 16 + fields.next_multiple_of(8) + body;
        bytes.resize(whole, 0);
        self.fill(&mut bytes[16..], &mut fds)?;
        let message = decode(&bytes, fields).ok_or(Failure::Broken("a message cut short"))?;
        Ok((message, fds))
    }

    /// Reads all of `buf`, and the files that come along.
    fn fill(&mut self, mut buf: &mut [u8], fds: &mut Vec<OwnedFd>) -> Result<(), Failure> {
        while !buf.is_empty() {
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
            let mut ancillary = RecvAncillaryBuffer::new(&mut space);
            let mut parts = [IoSliceMut::new(buf)];
            let received =
                recvmsg(&self.stream, &mut parts, &mut ancillary, RecvFlags::CMSG_CLOEXEC);
            let received = received.map_err(io::Error::from)?;
            for message in ancillary.drain() {
                if let RecvAncillaryMessage::ScmRights(files) = message {
                    fds.extend(files);
                }
            }
            if received.bytes == 0 {
                return Err(Failure::Broken("the bus hung up"));
            }
            buf = &mut buf[received.bytes..];
        }
        Ok(())
    }
}

/// Reads a line of the handshake, which must begin with `word`.
fn expect(stream: &mut UnixStream, word: &str) -> Result<(), Failure> {
    let mut line = Vec::new();
    while !line.ends_with(b"\r\n") && line.len() < 512 {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        line.push(byte[0]);
    }
    let line = String::from_utf8_lossy(&line);
    if line.starts_with(word) {
        return Ok(());
    }
    let mut told = String::from("the bus does not let us in: ");
    // Writing to a string cannot fail.
    let _ = write!(told, "{}", line.trim());
    Err(Failure::Refused(told))
}

/// Bytes of a message; every value is aligned to its size.
#[derive(Default)]
struct Encoder(Vec<u8>);

impl Encoder {
    fn align(&mut self, to: usize) {
        self.0.resize(self.0.len().next_multiple_of(to), 0);
    }

    fn number(&mut self, value: u32) {
        self.align(4);
        self.0.extend(value.to_le_bytes());
    }

    fn text(&mut self, text: &str) {
        self.number(u32::try_from(text.len()).unwrap_or(0));
        self.0.extend(text.as_bytes());
        self.0.push(0);
    }

    fn signature(&mut self, signature: &str) {
        self.0.push(u8::try_from(signature.len()).unwrap_or(0));
        self.0.extend(signature.as_bytes());
        self.0.push(0);
    }

    /// Writes what `inside` writes, behind its length. Its elements are aligned to 8 bytes, and
    /// that gap does not count.
    fn array(&mut self, inside: impl FnOnce(&mut Self)) {
        self.number(0);
        let at = self.0.len();
        self.align(8);
        let start = self.0.len();
        inside(self);
        let len = u32::try_from(self.0.len() - start).unwrap_or(0);
        self.0[at - 4..at].copy_from_slice(&len.to_le_bytes());
    }
}

/// Numbers of header fields.
mod field {
    pub const PATH: u8 = 1;
    pub const INTERFACE: u8 = 2;
    pub const MEMBER: u8 = 3;
    pub const REPLY_SERIAL: u8 = 5;
    pub const DESTINATION: u8 = 6;
    pub const SIGNATURE: u8 = 8;
}

fn encode(call: &Call<'_>, serial: u32) -> Vec<u8> {
    let mut body = Encoder::default();
    if let Some((text, key, value)) = call.body {
        body.text(text);
        body.array(|options| {
            options.text(key);
            options.signature("i");
            options.number(value);
        });
    }
    let mut message = Encoder(vec![b'l', METHOD_CALL, INTERACTIVE, 1]);
    message.number(u32::try_from(body.0.len()).unwrap_or(0));
    message.number(serial);
    message.array(|fields| {
        for (code, kind, value) in [
            (field::PATH, "o", call.path),
            (field::INTERFACE, "s", call.interface),
            (field::MEMBER, "s", call.member),
            (field::DESTINATION, "s", call.destination),
        ] {
            fields.align(8);
            fields.0.push(code);
            fields.signature(kind);
            fields.text(value);
        }
        if call.body.is_some() {
            fields.align(8);
            fields.0.push(field::SIGNATURE);
            fields.signature("g");
            fields.signature("sa{sv}");
        }
    });
    message.align(8);
    message.0.extend(body.0);
    message.0
}

/// What matters of a message that came.
#[derive(Debug)]
struct Message {
    kind: u8,
    reply_to: Option<u32>,
    /// Of an error: what it says, which is its first argument.
    text: String,
}

fn decode(bytes: &[u8], fields: usize) -> Option<Message> {
    let kind = bytes[1];
    let number = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    let mut reply_to = None;
    let (mut at, end) = (16_usize, 16 + fields);
    while at < end {
        at = at.next_multiple_of(8);
        let code = *bytes.get(at)?;
        let kind = *bytes.get(at + 2)?;
        // Behind the code stands the one-letter signature: its length, the letter, a zero.
        at += 4;
        match kind {
            b'u' => {
                if code == field::REPLY_SERIAL {
                    reply_to = number(at);
                }
                at += 4;
            }
            b's' | b'o' => at += 4 + number(at)? as usize + 1,
            b'g' => at += 1 + usize::from(*bytes.get(at)?) + 1,
            _ => return None,
        }
    }
    let body = end.next_multiple_of(8);
    let text = if kind == ERROR {
        let len = number(body)? as usize;
        String::from_utf8_lossy(bytes.get(body + 4..body + 4 + len)?).into_owned()
    } else {
        String::new()
    };
    Some(Message { kind, reply_to, text })
}
