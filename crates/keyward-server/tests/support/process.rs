//! The binary as a process.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use super::clock::{PATIENCE, eventually, within};
use super::http::{Answer, Client};
use super::log::Lines;
use super::{Page, TestIssuer, secrets};

/// How to start the service. Clones share the data directory: started again, it finds what it left.
#[derive(Clone)]
pub(crate) struct Setup {
    variables: BTreeMap<String, String>,
    arguments: Vec<String>,
    /// What starts the binary: a program and its arguments.
    launcher: Vec<String>,
    home: Arc<TempDir>,
}

impl Setup {
    /// With nothing configured but addresses and a data directory; none of this process's environment is passed on.
    pub(crate) fn new() -> Self {
        let home = Arc::new(tempfile::tempdir().expect("a directory"));
        let setup =
            Self { variables: BTreeMap::new(), arguments: vec!["serve".to_owned()], launcher: Vec::new(), home };
        let data_dir = setup.data_dir();
        setup
            .set("KEYWARD_LISTEN", "127.0.0.1:0")
            .set("KEYWARD_ADMIN_LISTEN", "127.0.0.1:0")
            .set("KEYWARD_DATA_DIR", data_dir.to_str().expect("a path in UTF-8"))
    }

    /// For the users of an issuer.
    pub(crate) fn for_issuer(issuer: &TestIssuer) -> Self {
        Self::new().set("SUPABASE_URL", issuer.url())
    }

    /// Sets a variable.
    #[must_use]
    pub(crate) fn set(mut self, name: &str, value: impl Into<String>) -> Self {
        self.variables.insert(name.to_owned(), value.into());
        self
    }

    /// Sets several variables.
    #[must_use]
    pub(crate) fn set_all(self, variables: &[(&str, &str)]) -> Self {
        variables.iter().fold(self, |setup, (name, value)| setup.set(name, *value))
    }

    /// Adds an argument.
    #[must_use]
    pub(crate) fn argument(mut self, argument: impl Into<String>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Has this program start the binary, whose command line is added to the arguments.
    #[must_use]
    pub(crate) fn launched_by(mut self, launcher: &[&str]) -> Self {
        self.launcher = launcher.iter().map(|part| (*part).to_owned()).collect();
        self
    }

    /// Writes the configuration file and passes it.
    #[must_use]
    pub(crate) fn config(self, toml: &str) -> Self {
        self.write_config(toml);
        let path = self.config_path();
        self.argument("--config").argument(path.to_str().expect("a path in UTF-8"))
    }

    /// Writes the configuration file anew.
    pub(crate) fn write_config(&self, toml: &str) {
        std::fs::write(self.config_path(), toml).expect("the file can be written");
    }

    fn config_path(&self) -> PathBuf {
        self.path("keyward.toml")
    }

    pub(crate) fn data_dir(&self) -> PathBuf {
        self.path("data")
    }

    /// A path in a directory that lives as long as this setup.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// Starts the process without waiting for anything.
    pub(crate) fn spawn(&self) -> Process {
        let binary = env!("CARGO_BIN_EXE_keyward").to_owned();
        let line: Vec<String> = self.launcher.iter().chain([&binary]).chain(&self.arguments).cloned().collect();
        let mut command = Command::new(&line[0]);
        command.args(&line[1..]).env_clear().envs(&self.variables).current_dir(self.home.path());
        // For launchers, which are found by name.
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{}: {error}", line[0]));
        let (stdout, reads_stdout) = Lines::collect(child.stdout.take().expect("it is piped"));
        let (stderr, reads_stderr) = Lines::collect(child.stderr.take().expect("it is piped"));
        let readers = vec![reads_stdout, reads_stderr];
        Process { pid: Pid::from_child(&child), child, stdout, stderr, readers, _home: Arc::clone(&self.home) }
    }

    /// Starts the service and waits until it accepts requests.
    pub(crate) async fn start(&self) -> Keyward {
        let mut process = self.spawn();
        let started = eventually("the service starts", async || {
            if let Some(status) = process.child.try_wait().expect("it can be asked") {
                panic!("the service ended at once with {status}: {}", process.stderr.text());
            }
            process.stdout.named("service_started").pop()
        });
        let started = started.await;
        let address = started["listen"].as_str().and_then(|listen| listen.parse().ok()).expect("an address");
        Keyward { client: Client::new(format!("http://{address}")), address, started, process }
    }

    /// [`Setup::start`], and waits for keys too.
    pub(crate) async fn start_ready(&self) -> Keyward {
        let keyward = self.start().await;
        keyward.ready().await;
        keyward
    }
}

/// A process, which is killed when it is dropped.
pub(crate) struct Process {
    child: Child,
    pid: Pid,
    pub(crate) stdout: Lines,
    pub(crate) stderr: Lines,
    readers: Vec<JoinHandle<()>>,
    _home: Arc<TempDir>,
}

impl Process {
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid, signal).expect("the process is there");
    }

    /// Waits for its end and for its last words.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        self.ended_within(PATIENCE).await
    }

    pub(crate) async fn ended_within(&mut self, limit: Duration) -> ExitStatus {
        let child = &mut self.child;
        let status = within(limit, "the process ends", async || child.try_wait().expect("it can be asked")).await;
        self.read_to_the_end();
        status
    }

    fn read_to_the_end(&mut self) {
        for reader in self.readers.drain(..) {
            reader.join().expect("output can be read");
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            return;
        }
        self.read_to_the_end();
        secrets::assert_none_in(&self.stdout.all());
        secrets::assert_none_in(&self.stderr.all());
    }
}

/// A service that accepts requests.
pub(crate) struct Keyward {
    pub(crate) address: SocketAddr,
    /// The event `service_started`.
    pub(crate) started: Value,
    pub(crate) process: Process,
    client: Client,
}

impl Keyward {
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The log so far.
    pub(crate) fn log(&self) -> &Lines {
        &self.process.stdout
    }

    pub(crate) fn signal(&self, signal: Signal) {
        self.process.signal(signal);
    }

    /// Waits until `/readyz` says so.
    pub(crate) async fn ready(&self) {
        eventually("the service is ready", async || (self.get("/readyz", None).await.status == 200).then_some(()))
            .await;
    }

    pub(crate) async fn get(&self, path: &str, token: Option<&str>) -> Answer {
        self.client.get(path, token).await
    }

    pub(crate) async fn post(&self, path: &str, token: &str, body: &Value) -> Answer {
        self.client.post(path, token, body).await
    }

    pub(crate) async fn verdict(&self, token: &str) -> (u16, String) {
        self.client.verdict(token).await
    }

    pub(crate) async fn metrics(&self) -> Page {
        Page::parse(&self.get("/metrics", None).await.body)
    }

    /// A path as the process sees it, which may have mounts of its own.
    pub(crate) fn sees(&self, path: &Path) -> PathBuf {
        let root = format!("/proc/{}/root", self.process.pid.as_raw_nonzero());
        Path::new(&root).join(path.strip_prefix("/").expect("an absolute path"))
    }

    /// Memory that is in use now, in bytes.
    pub(crate) fn resident_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.pid.as_raw_nonzero()));
        let status = status.expect("the process is there");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("memory is accounted for");
        let kib: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
        kib * 1024
    }

    /// SIGKILL, as a crash or the out-of-memory killer would.
    pub(crate) async fn kill(mut self) {
        self.signal(Signal::KILL);
        assert!(!self.process.ended().await.success());
    }

    /// SIGTERM; the service must end well.
    pub(crate) async fn stop(mut self) {
        self.signal(Signal::TERM);
        let status = self.process.ended().await;
        assert_eq!(status.code(), Some(0), "{status}: {}", self.process.stderr.text());
        assert_eq!(self.log().named("service_stopped").len(), 1);
    }
}
