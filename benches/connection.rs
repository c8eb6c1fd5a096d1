//! One HTTP/1.1 connection with as little between the bench and the socket as will do.
//!
//! Not a client for the open internet: it knows answers with a `Content-Length` and no others.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// One kept-alive connection.
pub(crate) struct Connection {
    stream: TcpStream,
    received: Vec<u8>,
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> std::io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            received: Vec::with_capacity(64 * 1024),
        })
    }

    /// Sends one request and reads its whole answer: the status and the body.
    pub(crate) async fn exchange(&mut self, request: &[u8]) -> std::io::Result<(u16, &[u8])> {
        self.stream.write_all(request).await?;
        self.received.clear();
        let head = loop {
            self.receive().await?;
            if let Some(at) = find(&self.received, b"\r\n\r\n") {
                break at + 4;
            }
        };
        let (status, length) = read_head(&self.received[..head])?;
        while self.received.len() < head + length {
            self.receive().await?;
        }
        Ok((status, &self.received[head..]))
    }

    async fn receive(&mut self) -> std::io::Result<()> {
        match self.stream.read_buf(&mut self.received).await? {
            0 => Err(std::io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}

fn read_head(head: &[u8]) -> std::io::Result<(u16, usize)> {
    let text = std::str::from_utf8(head).map_err(std::io::Error::other)?;
    let status = text.get(9..12).and_then(|digits| digits.parse().ok());
    let mut lines = text.split("\r\n");
    let length = lines.find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.trim().parse().ok())?
    });
    let (Some(status), Some(length)) = (status, length) else {
        return Err(std::io::Error::other(format!(
            "an answer without length: {text}"
        )));
    };
    Ok((status, length))
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack
        .windows(needle.len())
        .position(|window| window == needle)
}
