//! Bytes on a connection, for what no client would send.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::clock::PATIENCE;

/// A connection.
pub(crate) struct Raw(TcpStream);

impl Raw {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        Self(TcpStream::connect(address).await.expect("the service accepts connections"))
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.write_all(bytes.as_ref()).await.expect("the service reads");
    }

    /// Sends what the service may stop reading half-way.
    pub(crate) async fn push(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.0.write_all(bytes.as_ref()).await;
    }

    /// Reads until the service closes the connection.
    pub(crate) async fn rest(mut self) -> String {
        let mut bytes = Vec::new();
        // A connection that is reset after its answer has given the answer.
        let read = tokio::time::timeout(PATIENCE, self.0.read_to_end(&mut bytes)).await;
        assert!(read.is_ok(), "the connection stays open after: {}", String::from_utf8_lossy(&bytes));
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Reads one answer with a `Content-Length`.
    pub(crate) async fn answer(&mut self) -> String {
        let mut bytes = Vec::new();
        let read = async {
            while !is_whole(&bytes) {
                let mut some = [0; 4096];
                match self.0.read(&mut some).await {
                    Ok(0) | Err(_) => break,
                    Ok(count) => bytes.extend_from_slice(&some[..count]),
                }
            }
        };
        let read = tokio::time::timeout(PATIENCE, read).await;
        assert!(read.is_ok(), "no whole answer: {}", String::from_utf8_lossy(&bytes));
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

/// Sends a request on a connection of its own, which must ask for it to be closed, and gives all that comes back.
pub(crate) async fn exchange(address: SocketAddr, request: impl AsRef<[u8]>) -> String {
    let mut raw = Raw::connect(address).await;
    raw.push(request).await;
    raw.rest().await
}

/// The status of the first answer; 0 for none.
pub(crate) fn status(answer: &str) -> u16 {
    answer.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)).map_or(0, |code| code.parse().unwrap_or(0))
}

/// How many answers there are.
pub(crate) fn count(answers: &str) -> usize {
    answers.matches("HTTP/1.1 ").count()
}

fn is_whole(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length =
        head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ").map(str::to_owned));
    body.len() >= length.and_then(|length| length.trim().parse().ok()).unwrap_or(0)
}
