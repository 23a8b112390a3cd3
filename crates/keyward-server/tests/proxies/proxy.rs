//! The proxies, each with the configuration that is shipped for it.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use tempfile::TempDir;

use crate::message::Request;
use crate::support::log::Lines;
use crate::support::{eventually, secrets};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Nginx,
    Caddy,
    Traefik,
    Envoy,
}

/// In place of the documented 8080, which something else may listen on: below the ports that connections are given.
const PORT: u16 = 21_080;

/// A running proxy.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    child: Child,
    output: [Lines; 2],
    readers: Vec<JoinHandle<()>>,
    _home: TempDir,
}

impl Kind {
    fn files(self) -> &'static [&'static str] {
        match self {
            Self::Nginx => &["nginx/nginx.conf"],
            Self::Caddy => &["caddy/Caddyfile"],
            Self::Traefik => &["traefik/traefik.yaml", "traefik/dynamic.yaml"],
            Self::Envoy => &["envoy/http.yaml"],
        }
    }

    fn command(self, home: &Path) -> Command {
        let (program, arguments) = match self {
            Self::Nginx => {
                let globals = "daemon off; pid nginx.pid; error_log stderr;";
                (installed("nginx"), vec!["-c", "nginx.conf", "-e", "stderr", "-g", globals, "-p", "."])
            }
            Self::Caddy => (tool("caddy"), vec!["run", "--config", "Caddyfile", "--adapter", "caddyfile"]),
            Self::Traefik => (tool("traefik"), vec!["--configFile=traefik.yaml"]),
            Self::Envoy => {
                let quiet = ["--log-level", "warning", "--disable-hot-restart", "--concurrency", "1"];
                (tool("envoy"), [&["-c", "http.yaml"], &quiet[..]].concat())
            }
        };
        let mut command = Command::new(program);
        command
            .args(arguments)
            .current_dir(home)
            .env("HOME", home)
            .env("XDG_DATA_HOME", home)
            .env("XDG_CONFIG_HOME", home);
        command
    }
}

impl Proxy {
    /// Starts one and waits until it forwards requests.
    pub(crate) async fn start(kind: Kind, keyward: SocketAddr, application: SocketAddr) -> Self {
        let home = tempfile::tempdir().expect("a directory");
        let ip = own_address();
        for file in kind.files() {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../infra/proxies").join(file);
            let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            let text = addressed(&text, ip, keyward.port(), application.port());
            std::fs::write(home.path().join(path.file_name().expect("a name")), text).expect("it can be written");
        }
        let mut command = kind.command(home.path());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{kind:?}: {error}; run: cargo xtask setup"));
        let (stdout, reads_stdout) = Lines::collect(child.stdout.take().expect("it is piped"));
        let (stderr, reads_stderr) = Lines::collect(child.stderr.take().expect("it is piped"));
        let readers = vec![reads_stdout, reads_stderr];
        let address = (ip, PORT).into();
        let mut proxy = Self { address, child, output: [stdout, stderr], readers, _home: home };
        proxy.forwards(kind).await;
        proxy
    }

    async fn forwards(&mut self, kind: Kind) {
        eventually(&format!("{kind:?} forwards"), async || {
            if let Some(status) = self.child.try_wait().expect("it can be asked") {
                panic!("{kind:?} ended with {status}: {}{}", self.output[0].text(), self.output[1].text());
            }
            tokio::net::TcpStream::connect(self.address).await.ok()?;
            (Request::get("/public/").send(self.address).await.status == 200).then_some(())
        })
        .await;
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // nginx takes its workers along on SIGTERM, and leaves them behind on SIGKILL.
        let pid = rustix::process::Pid::from_child(&self.child);
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        for _ in 0..300 {
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        // Caddy waits for open connections for ever. To one that has ended this does nothing.
        let _ = self.child.kill();
        let _ = self.child.wait();
        for reader in self.readers.drain(..) {
            let _ = reader.join();
        }
        if std::thread::panicking() {
            eprintln!("{}\n{}", self.output[0].text(), self.output[1].text());
            return;
        }
        for lines in &self.output {
            secrets::assert_none_in(&lines.all());
        }
    }
}

/// The configuration with other addresses in place of the documented ones.
fn addressed(text: &str, ip: Ipv4Addr, keyward: u16, application: u16) -> String {
    let replaced = text.replace("0.0.0.0", &ip.to_string()).replace("8080", &PORT.to_string());
    // First to what no configuration has, so that a port is not taken for a documented one.
    let marked = replaced.replace("8000", "<keyward>").replace("3000", "<application>");
    marked.replace("<keyward>", &keyward.to_string()).replace("<application>", &application.to_string())
}

/// An address of this machine's that nobody else listens on: of this process and of this call.
fn own_address() -> Ipv4Addr {
    static NEXT: AtomicU16 = AtomicU16::new(1);
    let process = std::process::id().to_be_bytes();
    let next = NEXT.fetch_add(1, Ordering::Relaxed);
    assert!(next < 250, "more proxies than addresses");
    Ipv4Addr::new(127, 1 + process[2] % 250, process[3], u8::try_from(next).expect("it is small"))
}

/// What `cargo xtask setup` puts beside the build.
fn tool(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tools/bin").join(name);
    assert!(path.is_file(), "{name} is not installed: run `cargo xtask setup`");
    path
}

fn installed(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let sbin = [PathBuf::from("/usr/sbin"), PathBuf::from("/usr/local/sbin")];
    let found =
        std::env::split_paths(&path).chain(sbin).map(|directory| directory.join(name)).find(|path| path.is_file());
    found.unwrap_or_else(|| panic!("{name} is not installed: run `cargo xtask setup`"))
}
