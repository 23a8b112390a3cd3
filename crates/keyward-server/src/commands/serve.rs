//! `keyward serve`: everything that is configured.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use keyward::clock::{Clock, SystemClock};
use keyward::{Observer, Reason};
use time::OffsetDateTime;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::Level;

use crate::app::App;
use crate::cli::SettingsArgs;
use crate::config::{Config, ConfigError, Database, Flags};
use crate::dev;
use crate::engine::Engine;
use crate::exit::Exit;
use crate::server;
use crate::store::{LazyStore, SqliteStore};
use crate::telemetry::keys::KeyReporter;
use crate::telemetry::log::{Fields, Log, LogSettings};
use crate::telemetry::metrics::{JobOutcome, Metrics, REVISION};
use crate::telemetry::requests::RequestReporter;

/// How often expired leases are looked for.
const RECLAIM_EVERY: Duration = Duration::from_secs(1);
/// How long calls into the system that hang may hold up the end of the process.
const HUNG_CALLS_TIMEOUT: Duration = Duration::from_secs(1);
/// How often verifications are summarised in the log.
const SUMMARISE_EVERY: Duration = Duration::from_secs(10);

/// The command line of `keyward serve`.
#[derive(Args, Clone, Debug)]
pub struct ServeArgs {
    /// Configuration file (TOML); environment variables and flags override it
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Try Keyward: start the embedded issuer, seed two users and a worker, print what to paste next, and listen on
    /// loopback only unless told otherwise
    #[arg(long)]
    pub dev: bool,
    /// What overrides the file and the environment.
    #[command(flatten)]
    pub settings: SettingsArgs,
}

impl ServeArgs {
    fn flags(&self) -> Flags {
        let mut flags = self.settings.flags();
        flags.dev_issuer = self.dev.then(|| dev::ISSUER_URL.to_owned());
        flags
    }

    fn read(&self) -> Result<Config, ConfigError> {
        let config = Config::read(&self.flags(), self.config.as_deref())?;
        config.require_issuers()?;
        Ok(config)
    }
}

/// Runs the service until it is told to stop.
#[must_use]
pub fn run(args: ServeArgs) -> Exit {
    let config = match args.read() {
        Ok(config) => config,
        Err(error) => return misconfigured(&error),
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return misconfigured(&format!("the runtime cannot be started: {error}")),
    };
    let clock = || {
        let millis = i128::from(SystemClock.now().unix.as_millis());
        OffsetDateTime::from_unix_timestamp_nanos(millis * 1_000_000).unwrap_or(OffsetDateTime::UNIX_EPOCH)
    };
    let settings = LogSettings { filter: config.log_filter.clone(), format: config.log_format, clock };
    let (log, _guard) = Log::to_stdout(settings);
    // Fails only when the process has a subscriber already, as under a test.
    let _ = log.install();
    let served = runtime.block_on(serve(&args, &config, &log));
    // A disk or a resolver that hangs must not keep the process from ending.
    runtime.shutdown_timeout(HUNG_CALLS_TIMEOUT);
    match served {
        Ok(()) => Exit::Success,
        Err(error) => misconfigured(&error),
    }
}

fn misconfigured(error: &dyn std::fmt::Display) -> Exit {
    eprintln!("keyward: {error}");
    Exit::Usage
}

/// The signals that the service obeys.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    /// From now on they are received; before, they would end the process there and then.
    fn listen() -> Result<Self, String> {
        let listen = |kind| signal(kind).map_err(|error| format!("signals cannot be received: {error}"));
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            hang_up: listen(SignalKind::hangup())?,
        })
    }
}

/// Everything that runs until the service is told to stop.
struct Service {
    app: App,
    log: Log,
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

async fn serve(args: &ServeArgs, config: &Config, log: &Log) -> Result<(), String> {
    for warning in config.warnings() {
        log.emit(Level::WARN, "configuration_warning", warning, Fields::new());
    }
    let metrics = Metrics::new(&Reason::ALL.iter().map(|reason| reason.as_str()).collect::<Vec<_>>());
    let metrics = Arc::new(metrics.map_err(|error| error.to_string())?);
    let signals = Signals::listen()?;
    let store = store(config)?;
    let issuer = if args.dev { Some(Arc::new(start_issuer(config).await?)) } else { None };
    // What cannot work is found out before anybody can connect.
    let app = start_app(config, log, metrics, store)?;
    let listener = server::bind(config.listen).await?;
    let ops_listener = match config.ops_listen {
        Some(address) => Some(server::bind(address).await?),
        None => None,
    };
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    let ops_address = ops_listener.as_ref().and_then(|listener| listener.local_addr().ok());
    let service = Service::start(app, log, listener, ops_listener);
    service.report_start(config, address, ops_address);
    let is_dev_project = config.issuers.iter().any(|settings| settings.issuers.iter().any(|iss| dev::is_own_iss(iss)));
    let worker = issuer.as_ref().filter(|_| is_dev_project);
    let worker = worker.map(|issuer| dev::Worker::start(address, Arc::clone(issuer)));
    match (args.dev, is_dev_project) {
        (true, true) => eprint!("{}", dev::welcome(address)),
        (true, false) => eprint!("{}", dev::other_project(address)),
        (false, _) => {}
    }
    let mut signals = service.until_told_to_stop(args, signals).await;
    // Whoever insists need not wait for what is in flight.
    tokio::select! {
        () = service.end(worker, issuer) => {}
        () = received(&mut signals.terminate) => {}
        () = received(&mut signals.interrupt) => {}
    }
    Ok(())
}

async fn start_issuer(config: &Config) -> Result<keyward_issuer::Issuer, String> {
    dev::start_issuer(&config.data_dir).await.map_err(|error| format!("the development issuer: {error}"))
}

fn store(config: &Config) -> Result<LazyStore, String> {
    match &config.database {
        Database::Sqlite { path } => Ok(LazyStore::new(SqliteStore::opener(path.clone()))),
        Database::Postgres { .. } => {
            Err("KEYWARD_DATABASE_URL: this version keeps jobs in SQLite only (accepted: sqlite://…)".to_owned())
        }
    }
}

fn start_app(config: &Config, log: &Log, metrics: Arc<Metrics>, store: LazyStore) -> Result<App, String> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let observer: Arc<dyn Observer> = Arc::new(KeyReporter::new(log.clone(), Arc::clone(&metrics)));
    let engine = Engine::start(config, observer).map_err(|error| error.to_string())?;
    for issuer in &config.issuers {
        // Every series is there from the start.
        let _ = metrics.issuer(&issuer.name);
    }
    let reporter = RequestReporter::new(log.clone(), Arc::clone(&metrics), Arc::clone(&clock), engine.clone());
    Ok(App { engine, store: Arc::new(store), metrics, reporter: Arc::new(reporter), clock })
}

impl Service {
    fn start(app: App, log: &Log, listener: TcpListener, ops_listener: Option<TcpListener>) -> Self {
        let (stop, stopping) = watch::channel(false);
        let mut tasks =
            vec![tokio::spawn(server::serve(listener, app.routes(ops_listener.is_none()), stopping.clone()))];
        if let Some(ops_listener) = ops_listener {
            tasks.push(tokio::spawn(server::serve(ops_listener, app.ops_routes(), stopping.clone())));
        }
        tasks.push(tokio::spawn(reclaim(app.clone(), log.clone(), stopping.clone())));
        tasks.push(tokio::spawn(summarise(Arc::clone(&app.reporter), stopping)));
        Self { app, log: log.clone(), stop, tasks }
    }

    fn report_start(&self, config: &Config, address: SocketAddr, ops_address: Option<SocketAddr>) {
        let names: Vec<&str> = config.issuers.iter().map(|issuer| issuer.name.as_str()).collect();
        let fields = Fields::new()
            .with("version", env!("CARGO_PKG_VERSION"))
            .with("revision", REVISION)
            .with("listen", address.to_string())
            .with_some("ops_listen", ops_address.map(|address| address.to_string()))
            .with("issuers", names)
            .with("data_dir", config.data_dir.display().to_string());
        self.log.emit(Level::INFO, "service_started", "the service accepts requests", fields);
    }

    async fn until_told_to_stop(&self, args: &ServeArgs, mut signals: Signals) -> Signals {
        loop {
            tokio::select! {
                () = received(&mut signals.terminate) => break,
                () = received(&mut signals.interrupt) => break,
                () = received(&mut signals.hang_up) => {
                    // Beside the loop: a file system that hangs must not make the service deaf to other signals.
                    tokio::spawn(reload(args.clone(), self.app.clone(), self.log.clone()));
                }
            }
        }
        self.log.emit(Level::INFO, "service_stopping", "no new requests; those in flight are finished", Fields::new());
        signals
    }

    async fn end(self, worker: Option<dev::Worker>, issuer: Option<Arc<keyward_issuer::Issuer>>) {
        if let Some(worker) = worker {
            worker.stop().await;
        }
        self.stop().await;
        if let Some(issuer) = issuer.and_then(Arc::into_inner) {
            issuer.stop().await;
        }
    }

    async fn stop(self) {
        let _ = self.stop.send(true);
        for task in self.tasks {
            let _ = task.await;
        }
        // A disk that hangs must not keep the process from ending.
        let _ = tokio::time::timeout(HUNG_CALLS_TIMEOUT, self.app.store.close()).await;
        self.app.reporter.summarise();
        self.app.engine.shutdown().await;
        self.log.emit(Level::INFO, "service_stopped", "everything is written and closed", Fields::new());
    }
}

/// Reads the configuration again and refreshes every key set. A configuration that cannot work changes nothing.
async fn reload(args: ServeArgs, app: App, log: Log) {
    let fields = Fields::new().with("action", "reload").with("by", "SIGHUP");
    log.emit(Level::WARN, "operator_action", "the configuration is read again and every key set refreshed", fields);
    let configured = app.engine.clone();
    let reconfigured =
        tokio::task::spawn_blocking(move || configured.reconfigure(|| args.read()).map_err(|error| error.to_string()));
    match reconfigured.await.unwrap_or_else(|error| Err(error.to_string())) {
        Ok(()) => {
            app.metrics.forget_issuers_except(&app.engine.current().issuer_names().collect::<Vec<_>>());
            let message =
                "issuers, policies, gateway and token cache are as configured now; the rest changes at a restart";
            log.emit(Level::INFO, "configuration_reloaded", message, Fields::new());
        }
        Err(error) => {
            let message = "the configuration was read again and is not used: the one before stays in force";
            log.emit(Level::ERROR, "configuration_rejected", message, Fields::new().with("error", error));
        }
    }
    let authenticator = app.engine.current();
    for name in authenticator.issuer_names().map(str::to_owned) {
        let authenticator = Arc::clone(&authenticator);
        tokio::spawn(async move { authenticator.refresh(&name).await });
    }
}

async fn received(signal: &mut Signal) {
    // A stream that has ended will never tell of a signal.
    if signal.recv().await.is_none() {
        std::future::pending::<()>().await;
    }
}

/// Puts jobs back whose workers have gone silent.
async fn reclaim(app: App, log: Log, mut stop: watch::Receiver<bool>) {
    let mut store_works = true;
    loop {
        let reclaimed = tokio::select! {
            reclaimed = app.store.reclaim_expired(app.clock.now().unix.into()) => reclaimed,
            _ = stop.wait_for(|stop| *stop) => return,
        };
        match &reclaimed {
            Ok(reclaimed) => (0..reclaimed.failed).for_each(|_| app.metrics.job_finished(JobOutcome::Failed)),
            Err(error) if store_works => {
                let fields = Fields::new().with("error", error.to_string());
                let message = "jobs cannot be kept; tokens are verified all the same";
                log.emit(Level::ERROR, "store_unavailable", message, fields);
            }
            Err(_) => {}
        }
        if reclaimed.is_ok() && !store_works {
            log.emit(Level::INFO, "store_available", "jobs can be kept again", Fields::new());
        }
        store_works = reclaimed.is_ok();
        tokio::select! {
            () = tokio::time::sleep(RECLAIM_EVERY) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
    }
}

async fn summarise(reporter: Arc<RequestReporter>, mut stop: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(SUMMARISE_EVERY) => reporter.summarise(),
            _ = stop.wait_for(|stop| *stop) => return,
        }
    }
}
