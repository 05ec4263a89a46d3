//! `tandem serve`: opens everything, starts the threads, then waits for signals.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;

use anyhow::{Context, Result, anyhow};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tandem_sip::Transport;
use tandem_switch::{Directory, DrainOrder, Input, Node};
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{oneshot, watch};

use crate::command::Commands;
use crate::config::{self, Config, MediaSettings, Origin, Settings};
use crate::edges::cdr::{CdrCounters, CdrWriter};
use crate::edges::cti::CtiEdge;
use crate::edges::dns::Dns;
use crate::edges::http::{self, Sources};
use crate::edges::isolation::Isolation;
use crate::edges::media::MediaEdge;
use crate::edges::resolve::Resolve;
use crate::edges::udp::UdpEdge;
use crate::edges::{tcp, tls, udp};
use crate::limits::{MAX_COMMANDS, MAX_CTI_LINKS, MAX_HTTP_REQUESTS, MAX_LISTEN, MAX_OWN_CONNECTIONS};
use crate::load::LoadMeter;
use crate::readiness::{self, Readiness};
use crate::reload;
use crate::run::{Shell, now};
use crate::stat;

/// Thirty-two bytes from the operating system.
///
/// # Errors
/// What the operating system says.
pub fn random() -> io::Result<[u8; 32]> {
    let mut bytes = [0; 32];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// Everything that can be refused at a start is opened before the first thread runs.
struct Opened {
    udp: Vec<(u8, std::net::UdpSocket)>,
    tcp: Vec<(Transport, u8, std::net::TcpListener)>,
    http: Option<std::net::TcpListener>,
    cti: Option<(std::net::TcpListener, Option<tls::Acceptor>)>,
    cdrs: CdrWriter,
    cdr_counters: Arc<CdrCounters>,
}

/// Serves until SIGTERM or SIGINT.
///
/// # Errors
/// What prevented the start, or ended the service.
pub fn serve(origin: &Origin, config: Config) -> Result<()> {
    let Config { directory, settings } = config;
    let directory = Arc::new(directory);
    raise_file_limit(settings.connections.max);
    let opened = open(&directory, &settings)?;
    let edges = Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("edge")
        .enable_all()
        .build()
        .context("cannot start the edge threads")?;
    // From here on a signal is kept until `Control` looks at it, instead of ending the process.
    let signals = edges.block_on(async { Signals::new() }).context("cannot wait for signals")?;
    let (commands, receiver) = Commands::channel(MAX_COMMANDS);
    let locals = opened
        .tcp
        .iter()
        .map(|(transport, local, listener)| Ok((*transport, *local, listener.local_addr()?)));
    let locals: Vec<(Transport, u8, SocketAddr)> = locals.collect::<io::Result<_>>()?;
    let (publish, watch) = watch::channel(Arc::clone(&directory));
    let tls = settings.sip_tls.clone().map(tls::SipTls::new).transpose()?;
    let tcp = tcp::TcpEdge::new(
        edges.handle().clone(),
        commands.clone(),
        locals,
        watch.clone(),
        tls,
        settings.connections,
    );
    let isolation = Arc::new(Isolation::default());
    let desktops = CtiEdge::new(commands.clone(), watch, Arc::clone(&isolation));
    let media = edges.block_on(media(settings.media.as_ref(), &directory.server.name, &commands))?;
    let readiness = Readiness::new(settings.peer_http.clone(), settings.goals);
    let sources = Sources {
        readiness,
        media: Arc::clone(&media),
        commands: commands.clone(),
        tcp: Arc::clone(&tcp),
        cti: Arc::clone(&desktops),
        cdrs: opened.cdr_counters,
        isolation: Arc::clone(&isolation),
    };
    start_edges(&edges, opened.tcp, opened.http, opened.cti, &sources)?;

    let (seed, first) = (random().context("no randomness from /dev/urandom")?, Arc::clone(&directory));
    let udp = opened.udp;
    let cdrs = opened.cdrs;
    let (drained, done) = oneshot::channel();
    let shell = move || -> io::Result<Shell> {
        let node = Node::new(first, seed, now());
        let (udp, drained) = (UdpEdge::new(udp)?, Some(drained));
        let (cti, commands, delayed) = (desktops, receiver, VecDeque::new());
        let load = LoadMeter::default();
        Ok(Shell { load, node, udp, tcp, cti, media, cdrs, isolation, delayed, commands, drained })
    };
    let (node, ended) = start_node(shell)?;
    let ends = Ends { ended, drained: done };
    announce(origin, &directory, &settings);
    if settings.stat.is_some() {
        stat::start_beside(origin);
    }
    let (tcp, cdrs) = (sources.tcp, sources.cdrs);
    let control = Control { origin, commands, tcp, cdrs, settings, directory, publish };
    let stopped = edges.block_on(control.run(signals, ends));
    let joined = node.join().map_err(|_| anyhow!("the node's thread ended by a fault"));
    edges.block_on(sources.cti.stop());
    edges.shutdown_background();
    joined?.context("the node's thread ended")?;
    stopped
}

async fn media(
    settings: Option<&MediaSettings>,
    server: &str,
    commands: &Commands,
) -> Result<Arc<MediaEdge>> {
    let [a, b, c, d, e, f, g, h, ..] = random().context("no randomness from /dev/urandom")?;
    let prefix = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
    MediaEdge::start(settings, server, prefix, commands.clone())
        .await
        .context("cannot open sockets to [media] rtpengine")
}

/// Every TCP connection is a file descriptor, and the usual soft limit of 1024 is for interactive programs.
fn raise_file_limit(connections: usize) {
    let raised = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(_, most)| setrlimit(Resource::RLIMIT_NOFILE, most, most));
    if let Err(error) = raised {
        tracing::warn!(%error, "the limit of open files stays as it is");
    }
    let wanted = (connections + MAX_OWN_CONNECTIONS + MAX_CTI_LINKS + MAX_HTTP_REQUESTS + MAX_LISTEN) as u64;
    if let Ok((limit, _)) = getrlimit(Resource::RLIMIT_NOFILE)
        && limit < wanted
    {
        tracing::info!(limit, wanted, "fewer connections than possible: the limit of open files is lower");
    }
}

fn open(directory: &Directory, settings: &Settings) -> Result<Opened> {
    let (mut udp, mut tcp) = (Vec::new(), Vec::new());
    for (local, listen) in (0u8..).zip(&directory.server.listen) {
        let failed = || format!("cannot listen on {} {}{}", listen.transport, listen.addr, ANOTHER);
        match listen.transport {
            Transport::Udp => udp.push((local, udp::bind(listen.addr).with_context(failed)?)),
            transport @ (Transport::Tcp | Transport::Tls | Transport::Ws | Transport::Wss) => {
                tcp.push((transport, local, tcp::bind(listen.addr).with_context(failed)?));
            }
        }
    }
    let http =
        match settings.http {
            Some(addr) => Some(tcp::bind(addr).with_context(|| {
                format!("cannot listen on {addr} for the administration interface{ANOTHER}")
            })?),
            None => None,
        };
    let cti = match settings.cti.listen {
        Some(addr) => {
            let failed = || format!("cannot listen on {addr} for the CTI interface{ANOTHER}");
            let tls = settings.cti.tls.as_ref().map(|(certificate, key)| tls::acceptor(certificate, key));
            Some((tcp::bind(addr).with_context(failed)?, tls.transpose()?))
        }
        None => None,
    };
    let cdr_counters = Arc::new(CdrCounters::default());
    let cdrs =
        CdrWriter::start(settings.cdr_file.as_deref(), Arc::clone(&cdr_counters)).with_context(|| {
            format!("cannot open cdr-file {:?}", settings.cdr_file.as_deref().unwrap_or("".as_ref()))
        })?;
    Ok(Opened { udp, tcp, http, cti, cdrs, cdr_counters })
}

const ANOTHER: &str = " (does another server run here, or does this machine not have the address?)";

fn start_edges(
    edges: &Runtime,
    listeners: Vec<(Transport, u8, std::net::TcpListener)>,
    http: Option<std::net::TcpListener>,
    cti: Option<(std::net::TcpListener, Option<tls::Acceptor>)>,
    sources: &Sources,
) -> Result<()> {
    let _inside = edges.enter();
    for (transport, local, listener) in listeners {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        edges.spawn(Arc::clone(&sources.tcp).accept(transport, local, listener));
    }
    if let Some((listener, tls)) = cti {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        edges.spawn(Arc::clone(&sources.cti).accept(listener, tls));
    }
    if let Some(listener) = http {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let sources = sources.clone();
        edges.spawn(async move {
            if let Err(error) = http::serve(listener, sources).await {
                tracing::error!(%error, "the administration interface ended");
            }
        });
    }
    Ok(())
}

/// Starts the `Node`'s thread. The receiver hears of its end, whatever ends it.
fn start_node(
    shell: impl FnOnce() -> io::Result<Shell> + Send + 'static,
) -> Result<(JoinHandle<io::Result<()>>, oneshot::Receiver<()>)> {
    let (alive, ended) = oneshot::channel::<()>();
    let body = move || {
        let _alive = alive;
        let runtime = Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            shell()?.run().await;
            Ok(())
        })
    };
    let thread = std::thread::Builder::new().name("node".to_owned()).spawn(body);
    Ok((thread.context("cannot start the node's thread")?, ended))
}

fn announce(origin: &Origin, directory: &Directory, settings: &Settings) {
    let listen: Vec<String> =
        directory.server.listen.iter().map(|l| format!("{} {}", l.transport, l.addr)).collect();
    let http = settings.http.map_or_else(|| "off".to_owned(), |addr| format!("http://{addr}"));
    let scheme = if settings.cti.tls.is_some() { "wss" } else { "ws" };
    let cti = settings.cti.listen.map_or_else(|| "off".to_owned(), |addr| format!("{scheme}://{addr}/cti"));
    tracing::info!(
        server = %directory.server.name,
        config = %origin,
        listen = %listen.join(", "),
        %http,
        %cti,
        extensions = directory.extensions().len(),
        trunks = directory.trunks().len(),
        version = env!("CARGO_PKG_VERSION"),
        "serving"
    );
}

/// How a node comes to its end by itself.
struct Ends {
    /// Its thread is over.
    ended: oneshot::Receiver<()>,
    /// It has shut down gracefully.
    drained: oneshot::Receiver<()>,
}

/// The signals that a server acts on.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
    drain: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
            drain: signal(SignalKind::user_defined1())?,
        })
    }
}

/// What acts on signals.
struct Control<'a> {
    origin: &'a Origin,
    commands: Commands,
    tcp: Arc<tcp::TcpEdge>,
    cdrs: Arc<CdrCounters>,
    settings: Settings,
    directory: Arc<Directory>,
    publish: watch::Sender<Arc<Directory>>,
}

impl Control<'_> {
    async fn run(mut self, mut signals: Signals, mut ends: Ends) -> Result<()> {
        let dns = Dns::new(&self.settings.dns)?;
        let names = Resolve::new(dns, self.commands.clone(), Arc::clone(&self.tcp));
        tokio::spawn(names.run(self.publish.subscribe()));
        if let Some(peer) = self.settings.peer_http.clone() {
            let own = self.directory.server.name.clone();
            tokio::spawn(readiness::control::watch(peer, own, self.commands.clone()));
        }
        loop {
            let stop = tokio::select! {
                _ = signals.terminate.recv() => "SIGTERM",
                _ = signals.interrupt.recv() => "SIGINT",
                _ = &mut ends.ended => return Err(anyhow!("the node's thread ended unasked")),
                Ok(()) = &mut ends.drained => "none: the server is drained",
                _ = signals.drain.recv() => {
                    let by = "SIGUSR1".into();
                    self.commands.input(Input::Drain(DrainOrder::Start { by })).await;
                    continue;
                }
                _ = signals.hangup.recv() => {
                    self.cdrs.reopen();
                    self.tcp.reload_tls();
                    self.reload().await;
                    continue;
                }
            };
            tracing::info!(signal = stop, "stopping");
            self.commands.stop().await;
            return Ok(());
        }
    }

    /// All or nothing.
    async fn reload(&mut self) {
        // Reading many Extensions takes a while; the edge threads have other work.
        let (origin, secret) = (self.origin.clone(), self.directory.server.nonce_secret);
        let read = tokio::task::spawn_blocking(move || config::load(&origin, secret)).await;
        let merged = match read {
            Ok(Ok(config)) => reload::merge(&self.directory, &self.settings, config),
            Ok(Err(error)) => {
                for line in error.report.lines() {
                    tracing::error!("{line}");
                }
                Err(format!("{} error(s) in the configuration", error.faults))
            }
            Err(error) => Err(error.to_string()),
        };
        match merged {
            Ok(merged) => {
                for key in merged.kept {
                    tracing::warn!(key, "changed, but takes effect at the next start only; keeps its value");
                }
                self.directory = Arc::new(merged.directory);
                let (extensions, trunks) = (self.directory.extensions().len(), self.directory.trunks().len());
                let taken = self.commands.input(Input::Directory(Arc::clone(&self.directory))).await;
                if taken {
                    self.publish.send_replace(Arc::clone(&self.directory));
                    // Said when it is in force for whoever asks after reading this line: the node's queue keeps order.
                    tracing::info!(config = %self.origin, extensions, trunks, "configuration reloaded");
                }
            }
            Err(why) => {
                tracing::error!(config = %self.origin, %why, "not reloaded: the configuration stays as it was");
            }
        }
    }
}
