//! The application behind a proxy: it writes down what it gets, byte for byte, and answers 200.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::message::Headers;

/// In every answer of the application's, and in none of a proxy's own.
pub(crate) const MARK: (&str, &str) = ("x-application", "reached");

/// A request as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) headers: Headers,
    pub(crate) body: Vec<u8>,
}

/// Runs until the runtime of its test ends.
pub(crate) struct Application {
    pub(crate) address: SocketAddr,
    received: Arc<Mutex<Vec<Received>>>,
}

impl Application {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let received = Arc::new(Mutex::new(Vec::new()));
        let shared = Arc::clone(&received);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&shared)));
            }
        });
        Self { address, received }
    }

    /// What has arrived since it was last asked.
    pub(crate) fn take(&self) -> Vec<Received> {
        std::mem::take(&mut *self.received.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

async fn serve(stream: TcpStream, received: Arc<Mutex<Vec<Received>>>) {
    let mut stream = BufReader::new(stream);
    while let Some(request) = read(&mut stream).await {
        received.lock().unwrap_or_else(PoisonError::into_inner).push(request);
        let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n{}: {}\r\n\r\n", MARK.0, MARK.1);
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

async fn read(stream: &mut BufReader<TcpStream>) -> Option<Received> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read_until(b'\n', &mut head).await.ok()? == 0 {
            return None;
        }
    }
    let head = String::from_utf8(head).expect("proxies send text");
    let (line, headers) = head.split_once("\r\n").expect("a request line");
    let mut words = line.split(' ').map(str::to_owned);
    let headers = Headers::parse(headers);
    let body = body(stream, &headers).await?;
    Some(Received { method: words.next()?, target: words.next()?, headers, body })
}

async fn body(stream: &mut BufReader<TcpStream>, headers: &Headers) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    if headers.first("transfer-encoding").is_none() {
        body.resize(headers.first("content-length").map_or(0, |length| length.parse().expect("a length")), 0);
        stream.read_exact(&mut body).await.ok()?;
        return Some(body);
    }
    loop {
        let mut size = String::new();
        stream.read_line(&mut size).await.ok()?;
        let size = usize::from_str_radix(size.trim(), 16).expect("a chunk's size");
        let begun = body.len();
        body.resize(begun + size + 2, 0);
        stream.read_exact(&mut body[begun..]).await.ok()?;
        body.truncate(begun + size);
        if size == 0 {
            return Some(body);
        }
    }
}
