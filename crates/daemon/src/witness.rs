//! `tandem witness`: a member of a site's group that votes and keeps what was agreed on, on a third machine. It never serves,
//! and speaks no SIP; it leads only to bring a server up to date and hand over to it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use axum::Router;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::get;
use tandem_ha::{Input, Output, Server, Start};
use tandem_quorum::{self as quorum, Kind};
use tandem_sip::Transport;
use tandem_switch::Directory;
use tandem_switch::directory::{Listen, Options, Server as Named};
use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use crate::command::{Command, Commands};
use crate::config::WitnessConfig;
use crate::edges::group::{self, About};
use crate::edges::tcp;
use crate::group::{Group, GroupNews};
use crate::limits::{MAX_COMMANDS, PULSE_EVERY};
use crate::member::{self, Myself};
use crate::run::now;
use crate::systemd::{Systemd, Word};

/// Runs until SIGTERM or SIGINT; SIGHUP reads the certificates anew.
///
/// # Errors
/// What prevented the start, or ended it.
pub fn run(config: &WitnessConfig) -> Result<()> {
    let edges = Builder::new_multi_thread().worker_threads(2).thread_name("edge").enable_all().build()?;
    let (disk, persisted) = member::recall_witness(config.state_directory.as_deref(), &config.name)?;
    let start = Start {
        persisted,
        settings: member::witness_settings()?,
        directory: nobody(&config.name)?,
        seed: [0; 32],
        owner: 0,
    };
    let server = Server::new(start, now()).context("the state directory cannot be used")?;
    let me = Myself { name: config.name.clone(), kind: Kind::Witness, summary: None };
    let group = member::join(edges.handle(), me, Some(&config.member), (&server, disk))?;
    let (commands, receiver) = Commands::channel(MAX_COMMANDS);
    let about = About::witness(&commands, &group, &config.name, &config.member.address);
    if let Some(addr) = config.http {
        let failed = || format!("cannot listen on {addr} for the administration interface");
        let listener = tcp::bind(addr, crate::edges::address::Presence::Always).with_context(failed)?;
        let _inside = edges.enter();
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let about = about.clone();
        edges.spawn(async move { axum::serve(listener, router(about)).await });
    }
    let systemd = Systemd::from_environment();
    tracing::info!(
        name = %config.name,
        members = %config.member.listen,
        version = env!("CARGO_PKG_VERSION"),
        "voting"
    );
    systemd.tell(Word::Ready);
    let mut seat = Seat { server, group, commands: receiver, systemd, told: Instant::now() };
    let ended = Builder::new_current_thread().enable_all().build()?.block_on(seat.run(&about));
    edges.shutdown_background();
    ended
}

/// What is never served: a configuration without anybody in it.
fn nobody(name: &str) -> Result<Arc<Directory>> {
    let nowhere = Listen { transport: Transport::Udp, addr: ([127, 0, 0, 1], 5060).into() };
    let server = Named {
        name: name.into(),
        switch: name.into(),
        sip_address: "127.0.0.1".into(),
        sip_port: 5060,
        // Never opened: there is none without.
        listen: vec![nowhere],
        realm: name.into(),
        nonce_secret: [0; 32],
    };
    let directory = Directory::new(server, Options::default(), Vec::new(), Vec::new(), Vec::new());
    directory.map(Arc::new).map_err(|error| anyhow::anyhow!("{error:?}"))
}

struct Seat {
    server: Server,
    group: Group,
    commands: mpsc::Receiver<Command>,
    systemd: Systemd,
    told: Instant,
}

impl Seat {
    async fn run(&mut self, about: &About) -> Result<()> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut hangup = signal(SignalKind::hangup())?;
        self.settle();
        loop {
            let watchdog = self.systemd.watchdog().map(|_| self.told + PULSE_EVERY);
            let due = self.server.poll_timeout().into_iter().chain(watchdog).min();
            let due = due.unwrap_or_else(|| Instant::now() + Duration::from_secs(3_600));
            tokio::select! {
                _ = terminate.recv() => break,
                _ = interrupt.recv() => break,
                _ = hangup.recv() => about.reload_tls(),
                news = self.group.news() => match news {
                    GroupNews::Frame(bytes) => self.member(quorum::Input::Frame { bytes }),
                    GroupNews::Disk => if let Some(token) = self.group.disk.stored() {
                        self.member(quorum::Input::Stored { token });
                    },
                },
                Some(command) = self.commands.recv() => match command {
                    Command::Group(question) => question(&mut self.server, &self.group.disk, now()),
                    Command::Ask(question) => question(None),
                    Command::Input(_) => {}
                    Command::Stop => break,
                },
                () = tokio::time::sleep_until(due.into()) => self.server.handle_timeout(now()),
            }
            self.settle();
            self.beat();
        }
        tracing::info!("stopping");
        self.systemd.tell(Word::Stopping);
        Ok(())
    }

    fn member(&mut self, input: quorum::Input) {
        self.server.handle_input(Input::Member(input), now());
    }

    fn settle(&mut self) {
        while let Some(output) = self.server.poll_output(now()) {
            match output {
                Output::Member(output) => {
                    let group =
                        matches!(output, quorum::Output::Roster(_)).then(|| self.server.status(now()).group);
                    self.group.carry_out(output, group);
                }
                Output::Unreadable(bad) => {
                    tracing::error!(%bad, "records of the group are lost to this member");
                }
                // A witness never serves, and stays when its site is drained.
                Output::Node(_)
                | Output::Restore(_)
                | Output::Serving { .. }
                | Output::Stopped { .. }
                | Output::Resumed
                | Output::SiteDrained => {}
            }
        }
    }

    fn beat(&mut self) {
        if self.systemd.watchdog().is_some() && self.told.elapsed() >= PULSE_EVERY {
            self.told = Instant::now();
            self.systemd.tell(Word::Alive);
        }
    }
}

const INDEX: &str = "tandem witness

/health    200 while its loop comes round, else 503
/ready     200 while it votes and hears a leader, else 503 and why
/metrics   Prometheus
/api/ha    tandem ha status
";

fn router(about: About) -> Router {
    Router::new()
        .route("/", get(|| async { INDEX }))
        .route("/health", get(group::health))
        .route("/ready", get(group::votes))
        .route("/metrics", get(metrics))
        .route("/api/ha", get(group::get))
        .with_state(about)
}

async fn metrics(State(about): State<About>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], group::metrics(&about).await)
}
