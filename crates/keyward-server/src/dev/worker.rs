use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use keyward_issuer::Issuer;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

const KINDS: [&str; 2] = ["echo", "sleep"];
const LEASE_SECONDS: u64 = 60;
const TOKEN_TTL: Duration = Duration::from_secs(300);
const IDLE: Duration = Duration::from_millis(200);
/// The longest a job of kind `sleep` sleeps.
const LONGEST_SLEEP: Duration = Duration::from_secs(30);

/// A worker that does what any worker would, over HTTP: it leases jobs of kind `echo`, whose result is their payload,
/// and `sleep`, which take `{"ms": 500}` as long, and completes them.
pub struct Worker {
    task: JoinHandle<()>,
}

struct Client {
    http: reqwest::Client,
    base: String,
    issuer: Arc<Issuer>,
}

impl Worker {
    /// Starts the worker, with a service role token of `issuer`, against the API on `api`.
    #[must_use]
    pub fn start(api: SocketAddr, issuer: Arc<Issuer>) -> Self {
        let http = reqwest::Client::builder().no_proxy().tls_certs_only([]).timeout(Duration::from_secs(10)).build();
        let task = tokio::spawn(async move {
            let http = match http {
                Ok(http) => http,
                Err(error) => return tracing::error!(%error, "the development worker cannot be started"),
            };
            let client = Client { http, base: format!("http://{api}/v1/worker"), issuer };
            loop {
                if !client.work().await {
                    tokio::time::sleep(IDLE).await;
                }
            }
        });
        Self { task }
    }

    /// Stops the worker. A job it holds goes back to the queue when its lease expires.
    pub async fn stop(self) {
        self.task.abort();
        let _ = self.task.await;
    }
}

impl Client {
    /// Leases one job and does it; whether there was one.
    async fn work(&self) -> bool {
        let order = json!({ "kinds": KINDS, "limit": 1, "lease_seconds": LEASE_SECONDS });
        let Some(leased) = self.post("lease", &order).await else { return false };
        let Some(job) = leased["jobs"].get(0) else { return false };
        let (Some(id), Some(lease)) = (job["id"].as_str(), job["lease_id"].as_str()) else { return false };
        let (call, body) = match result_of(job).await {
            Ok(result) => ("complete", json!({ "lease_id": lease, "result": result })),
            Err(error) => ("fail", json!({ "lease_id": lease, "error": error, "retry": false })),
        };
        self.post(&format!("jobs/{id}/{call}"), &body).await;
        true
    }

    async fn post(&self, path: &str, body: &Value) -> Option<Value> {
        let token = self.issuer.service_role_token(TOKEN_TTL);
        let request = self.http.post(format!("{}/{path}", self.base)).bearer_auth(token).json(body);
        let answer = request.send().await.ok()?;
        answer.status().is_success().then_some(())?;
        answer.json().await.ok()
    }
}

async fn result_of(job: &Value) -> Result<Value, &'static str> {
    let payload = &job["payload"];
    if job["kind"] == "echo" {
        return Ok(payload.clone());
    }
    let millis = payload.as_u64().or_else(|| payload["ms"].as_u64());
    let pause = Duration::from_millis(millis.ok_or("the payload of a job of kind sleep is like {\"ms\": 500}")?);
    if pause > LONGEST_SLEEP {
        return Err("a job of kind sleep sleeps 30000 ms at most");
    }
    tokio::time::sleep(pause).await;
    Ok(json!({ "slept_ms": millis }))
}
