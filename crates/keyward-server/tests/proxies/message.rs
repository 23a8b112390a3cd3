//! Requests and answers as bytes, for what no client's library would send or show.

use std::fmt;
use std::net::SocketAddr;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::clock::PATIENCE;
use crate::support::raw;

/// Header fields in their order, spelt as they were.
#[derive(Clone, Debug, Default)]
pub(crate) struct Headers(Vec<(String, String)>);

impl Headers {
    pub(crate) fn parse(text: &str) -> Self {
        let fields = text.lines().take_while(|line| !line.is_empty());
        let field = |line: &str| line.split_once(':').map(|(name, value)| (name.to_owned(), value.trim().to_owned()));
        Self(fields.map(|line| field(line).unwrap_or_else(|| panic!("no header: {line:?}"))).collect())
    }

    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        self.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value).collect()
    }

    pub(crate) fn first(&self, name: &str) -> Option<&str> {
        self.all(name).first().copied()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

/// A request to be sent as it is.
#[derive(Clone)]
pub(crate) struct Request {
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    /// Connection options besides `close`.
    connection: String,
    body: Vec<u8>,
}

impl Request {
    pub(crate) fn new(method: &str, target: &str) -> Self {
        let (method, target) = (method.to_owned(), target.to_owned());
        Self { method, target, headers: Vec::new(), connection: String::new(), body: Vec::new() }
    }

    pub(crate) fn get(target: &str) -> Self {
        Self::new("GET", target)
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn bearer(self, token: &str) -> Self {
        self.header("Authorization", &format!("Bearer {token}"))
    }

    /// Names a header in `Connection`.
    pub(crate) fn hop_by_hop(mut self, name: &str) -> Self {
        self.connection.push_str(", ");
        self.connection.push_str(name);
        self
    }

    pub(crate) fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        let length = self.body.len().to_string();
        self.header("Content-Length", &length)
    }

    /// Sends it on a connection of its own.
    pub(crate) async fn send(&self, address: SocketAddr) -> Answer {
        let mut bytes = format!("{} {} HTTP/1.1\r\nHost: api.example\r\n", self.method, self.target).into_bytes();
        for (name, value) in &self.headers {
            bytes.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
        }
        bytes.extend_from_slice(format!("Connection: close{}\r\n\r\n", self.connection).as_bytes());
        bytes.extend_from_slice(&self.body);
        let mut stream = TcpStream::connect(address).await.expect("the proxy accepts connections");
        // A proxy may answer and stop reading half-way.
        let _ = stream.write_all(&bytes).await;
        let answer = tokio::time::timeout(PATIENCE, read(&mut stream, self.method == "HEAD")).await;
        Answer::parse(&answer.unwrap_or_else(|_| panic!("no answer to {self:?}")))
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// Enough to tell headers apart in a failure's message.
        const SHOWN: usize = 60;
        write!(f, "{} {}", self.method, self.target)?;
        for (name, value) in self.headers.iter().take(8) {
            write!(f, ", {name}: {}", value.get(..SHOWN).unwrap_or(value))?;
        }
        write!(f, ", Connection: close{}, {} bytes", self.connection, self.body.len())
    }
}

/// An answer as it came.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Headers,
    /// With the chunks' sizes among it when it came in chunks.
    pub(crate) body: String,
}

/// Reads one answer. Some proxies keep a connection open for a second after it, lest the client miss the answer.
async fn read(stream: &mut TcpStream, is_head: bool) -> String {
    let mut bytes = Vec::new();
    let mut some = vec![0; 16_384];
    while !is_whole(&bytes, is_head) {
        match stream.read(&mut some).await {
            Ok(0) | Err(_) => break,
            Ok(count) => bytes.extend_from_slice(&some[..count]),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn is_whole(bytes: &[u8], is_head: bool) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let headers = Headers::parse(head.split_once("\r\n").map_or("", |(_, headers)| headers));
    let length = headers.first("content-length").and_then(|length| length.parse().ok());
    is_head || length.is_some_and(|length: usize| body.len() >= length) || body.ends_with("\r\n0\r\n\r\n")
}

impl Answer {
    /// No answer at all has the status 0.
    fn parse(text: &str) -> Self {
        let status = raw::status(text);
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((text, ""));
        let headers = Headers::parse(head.split_once("\r\n").map_or("", |(_, headers)| headers));
        Self { status, headers, body: body.to_owned() }
    }

    /// The reason of a problem; empty in any other answer.
    pub(crate) fn reason(&self) -> String {
        let object = self.body.find('{').zip(self.body.rfind('}')).map(|(from, to)| &self.body[from..=to]);
        let problem: Value = object.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        problem["reason"].as_str().unwrap_or_default().to_owned()
    }
}
