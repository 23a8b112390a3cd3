//! A client of the service.

use ::http::HeaderMap;
use reqwest::RequestBuilder;
use serde_json::Value;

use super::clock::PATIENCE;

/// An answer, read to its end.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("no JSON ({error}): {self:?}"))
    }

    /// The reason of a problem; empty in any other answer.
    pub(crate) fn reason(&self) -> String {
        let problem: Value = serde_json::from_str(&self.body).unwrap_or_default();
        problem["reason"].as_str().unwrap_or_default().to_owned()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().expect("the header is text"))
    }

    /// Status and reason, to be compared at once.
    pub(crate) fn verdict(&self) -> (u16, String) {
        (self.status, self.reason())
    }
}

/// A client that keeps its connections.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    http: reqwest::Client,
    base: String,
}

impl Client {
    pub(crate) fn new(base: impl Into<String>) -> Self {
        Self::built(base, reqwest::Client::builder())
    }

    /// One that speaks HTTP/2 without being asked to.
    pub(crate) fn http2(base: impl Into<String>) -> Self {
        Self::built(base, reqwest::Client::builder().http2_prior_knowledge())
    }

    fn built(base: impl Into<String>, builder: reqwest::ClientBuilder) -> Self {
        // No certificates: nothing here speaks TLS, and reading the system's takes a while.
        let builder = builder.no_proxy().tls_certs_only([]).timeout(PATIENCE);
        Self { http: builder.build().expect("a client can be built"), base: base.into() }
    }

    pub(crate) fn request(&self, method: &str, path: &str, token: Option<&str>) -> RequestBuilder {
        let method = method.parse().expect("a method");
        let request = self.http.request(method, format!("{}{path}", self.base));
        match token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    pub(crate) async fn try_send(request: RequestBuilder) -> Result<Answer, reqwest::Error> {
        // Boxed: these futures are large, and so would be those of whoever waits for them.
        let answer = Box::pin(request.send()).await?;
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        Ok(Answer { status, headers, body: Box::pin(answer.text()).await? })
    }

    pub(crate) async fn send(request: RequestBuilder) -> Answer {
        Self::try_send(request).await.unwrap_or_else(|error| panic!("no answer: {error:?}"))
    }

    pub(crate) async fn get(&self, path: &str, token: Option<&str>) -> Answer {
        Self::send(self.request("GET", path, token)).await
    }

    pub(crate) async fn post(&self, path: &str, token: &str, body: &Value) -> Answer {
        Self::send(self.request("POST", path, Some(token)).json(body)).await
    }

    /// What `/v1/me` says to a token: status and reason.
    pub(crate) async fn verdict(&self, token: &str) -> (u16, String) {
        self.get("/v1/me", Some(token)).await.verdict()
    }
}
