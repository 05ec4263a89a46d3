//! `tandem serve`: opens everything, starts the threads, then waits for signals.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::Arc;
use std::thread::JoinHandle;

use anyhow::{Context, Result, anyhow};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tandem_ha::{Server, Start};
use tandem_quorum::{Kind, Persisted};
use tandem_sip::Transport;
use tandem_switch::{Directory, DrainOrder, Input};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{oneshot, watch};

use crate::command::Commands;
use crate::config::{self, Config, Durability, HaSettings, MediaSettings, Origin, Settings};
use crate::edges::address::{AddressEdge, Presence};
use crate::edges::cdr::{CdrCounters, CdrWriter, Target};
use crate::edges::cti::CtiEdge;
use crate::edges::disk::Disk;
use crate::edges::dns::Dns;
use crate::edges::group::About;
use crate::edges::http::{self, Sources};
use crate::edges::isolation::Isolation;
use crate::edges::line::Parting;
use crate::edges::media::MediaEdge;
use crate::edges::members::Summary;
use crate::edges::resolve::Resolve;
use crate::edges::udp::UdpEdge;
use crate::edges::udp_kernel;
use crate::edges::{tcp, tls, udp};
use crate::limits::{
    LAST_WORDS_WITHIN, MAX_COMMANDS, MAX_CTI_LINKS, MAX_HTTP_REQUESTS, MAX_LISTEN, MAX_OWN_CONNECTIONS,
};
use crate::load::LoadMeter;
use crate::member::{self, Myself};
use crate::pulse::Pulse;
use crate::readiness::{self, Readiness};
use crate::reload;
use crate::run::{End, Shell, now};
use crate::stat;
use crate::systemd::{Systemd, Word};

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
    doors: Doors,
    cdrs: CdrWriter,
    cdr_counters: Arc<CdrCounters>,
    address: Arc<AddressEdge>,
    disk: Disk,
    persisted: Persisted,
}

/// Listeners of connections.
struct Doors {
    sip: Vec<(Transport, u8, std::net::TcpListener)>,
    http: Option<std::net::TcpListener>,
    cti: Option<(std::net::TcpListener, Option<tls::Acceptor>)>,
}

/// Serves until SIGTERM or SIGINT.
///
/// # Errors
/// What prevented the start, or ended the service.
pub fn serve(origin: &Origin, config: Config) -> Result<()> {
    let Config { directory, settings } = config;
    let directory = Arc::new(directory);
    raise_file_limit(settings.connections.max);
    let (commands, receiver) = Commands::channel(MAX_COMMANDS);
    let opened = open(&directory, &settings, &commands)?;
    let edges = edge_threads().context("cannot start the edge threads")?;
    // From here on a signal is kept until `Control` looks at it, instead of ending the process.
    let signals = edges.block_on(async { Signals::new() }).context("cannot wait for signals")?;
    let (publish, watch) = watch::channel(Arc::clone(&directory));
    let tls = settings.sip_tls.clone().map(tls::SipTls::new).transpose()?;
    let parting = Arc::new(Parting::default());
    let tcp = tcp::TcpEdge::new(
        edges.handle().clone(),
        commands.clone(),
        locals(&opened.doors.sip)?,
        watch.clone(),
        tls,
        settings.connections,
        Arc::clone(&parting),
    );
    let isolation = Arc::new(Isolation::default());
    let desktops = CtiEdge::new(commands.clone(), watch, Arc::clone(&isolation), Arc::clone(&parting));
    let media = edges.block_on(media(settings.media.as_ref(), &directory.server.name, &commands))?;
    let server = server(&directory, opened.persisted, &settings.ha)?;
    let pair = settings.ha.pair.as_ref();
    let has_partner = pair.is_some();
    let summary = pair.map(|_| Summary::read(origin)).transpose()?;
    let name = member::name(pair, &directory.server.name);
    let me = Myself { name: name.clone(), kind: Kind::Server, summary };
    let group = member::join(edges.handle(), me, pair.map(|pair| &pair.member), (&server, opened.disk))?;
    let about = About::server(&commands, &group, &name, pair);
    let sources = Sources {
        readiness: Readiness::new(settings.peer_http.clone(), settings.goals),
        media: Arc::clone(&media),
        commands: commands.clone(),
        tcp: Arc::clone(&tcp),
        cti: Arc::clone(&desktops),
        cdrs: opened.cdr_counters,
        isolation: Arc::clone(&isolation),
        address: Arc::clone(&opened.address),
        group: about,
    };
    let (udp, cdrs) = (opened.udp, opened.cdrs);
    let ((drained, done), (serves, serving)) = (oneshot::channel(), oneshot::channel());
    let systemd = Systemd::from_environment();
    let pulse = Pulse::new(opened.address, systemd.clone());
    let shell = move || -> io::Result<Shell> {
        let (udp, serves, drained) = (UdpEdge::new(udp)?, Some(serves), Some(drained));
        let (cti, commands, delayed, ending, reviving) = (desktops, receiver, VecDeque::new(), None, None);
        let load = LoadMeter::default();
        #[rustfmt::skip]
        let shell =
            Shell { load, pulse, server, group, udp, tcp, cti, media, cdrs, isolation, delayed, commands, serves, drained, reviving, ending };
        Ok(shell)
    };
    let (node, ended) = start_node(shell)?;
    let ends = Ends { ended, drained: done, serving };
    let control = Control { origin, commands, systemd, sources, settings, directory, publish };
    let (sources, stopped) = edges.block_on(control.run(opened.doors, signals, ends));
    let joined = node.join().map_err(|_| anyhow!("the node's thread ended by a fault"));
    edges.block_on(leave(&sources, &parting, has_partner));
    edges.shutdown_background();
    conclude(joined?.context("the node's thread ended")?, stopped)
}

/// The addresses go, and with them every connection, if another server is to have them; desktops first get what is on its way
/// to them.
async fn leave(sources: &Sources, parting: &Parting, has_partner: bool) {
    if has_partner {
        parting.begin();
    }
    sources.address.stop();
    sources.cti.stop().await;
    if has_partner {
        sources.tcp.parted().await;
        tokio::time::sleep(LAST_WORDS_WITHIN).await;
        parting.forget();
    }
}

fn conclude(end: End, stopped: Result<()>) -> Result<()> {
    match end {
        End::Told => stopped,
        End::StoodDown => Err(begin_anew()),
        End::SiteDrained => {
            tracing::info!("stopping: the site is drained");
            Ok(())
        }
        End::Unable(why) => Err(anyhow!(why)),
    }
}

/// Replaces this process by one that knows nothing of what it did while it served: no connection, no queue, no cache of the
/// past can speak for a server that another one has taken over from. Returns only if that fails.
pub fn begin_anew() -> anyhow::Error {
    tracing::info!("the process begins anew, standing by");
    // The file may have been replaced by that of a later release meanwhile.
    let program = std::env::current_exe().ok().filter(|program| program.exists());
    let mut arguments = std::env::args_os();
    let mut anew = Command::new(program.unwrap_or_else(|| "/proc/self/exe".into()));
    if let Some(name) = arguments.next() {
        anew.arg0(name);
    }
    let error = anew.args(arguments).exec();
    anyhow::Error::new(error).context("the process cannot begin anew")
}

fn edge_threads() -> io::Result<Runtime> {
    Builder::new_multi_thread().worker_threads(2).thread_name("edge").enable_all().build()
}

/// Each listener's transport, place and address.
fn locals(
    listeners: &[(Transport, u8, std::net::TcpListener)],
) -> io::Result<Vec<(Transport, u8, SocketAddr)>> {
    listeners
        .iter()
        .map(|(transport, local, listener)| Ok((*transport, *local, listener.local_addr()?)))
        .collect()
}

/// The server with what its disk had.
fn server(directory: &Arc<Directory>, persisted: Persisted, ha: &HaSettings) -> Result<Server> {
    let seed = random().context("no randomness from /dev/urandom")?;
    let settings = member::settings(ha)?;
    let start = Start { persisted, settings, directory: Arc::clone(directory), seed, owner: 1 };
    Server::new(start, now()).context("the state directory cannot be used")
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

fn open(directory: &Directory, settings: &Settings, commands: &Commands) -> Result<Opened> {
    let (mut udp, mut sip) = (Vec::new(), Vec::new());
    let presence = |addr: SocketAddr| Presence::of(addr.ip(), settings.ha.address.as_ref());
    for (local, listen) in (0u8..).zip(&directory.server.listen) {
        let failed = || format!("cannot listen on {} {}{}", listen.transport, listen.addr, ANOTHER);
        let presence = presence(listen.addr);
        match listen.transport {
            Transport::Udp => udp.push((local, udp::bind(listen.addr, presence).with_context(failed)?)),
            transport @ (Transport::Tcp | Transport::Tls | Transport::Ws | Transport::Wss) => {
                let listener = tcp::reserve(listen.addr, presence).with_context(failed)?;
                presence.closes_when_gone(&listener, listen.addr);
                sip.push((transport, local, listener));
            }
        }
    }
    udp_kernel::complain(&udp);
    let http =
        match settings.http {
            Some(addr) => Some(tcp::reserve(addr, presence(addr)).with_context(|| {
                format!("cannot listen on {addr} for the administration interface{ANOTHER}")
            })?),
            None => None,
        };
    let cti = match settings.cti.listen {
        Some(addr) => {
            let failed = || format!("cannot listen on {addr} for the CTI interface{ANOTHER}");
            let tls = settings.cti.tls.as_ref().map(|(certificate, key)| tls::acceptor(certificate, key));
            Some((tcp::reserve(addr, presence(addr)).with_context(failed)?, tls.transpose()?))
        }
        None => None,
    };
    let doors = Doors { sip, http, cti };
    if settings.ha.pair.is_none() {
        // Nobody else serves: a port that another process has is found out now.
        doors.listen()?;
    }
    let cdr_counters = Arc::new(CdrCounters::default());
    let file = settings.cdr_file.as_deref();
    let target = Target { file, syncs: settings.ha.durability == Durability::Committed };
    let cdrs = CdrWriter::start(target, Arc::clone(&cdr_counters), commands.clone())
        .with_context(|| format!("cannot open cdr-file {:?}", file.unwrap_or("".as_ref())))?;
    let address =
        AddressEdge::start(settings.ha.address.as_ref()).context("cannot hold the virtual address")?;
    let (disk, persisted) = member::recall(&settings.ha, &directory.server.name)?;
    Ok(Opened { udp, doors, cdrs, cdr_counters, address, disk, persisted })
}

const ANOTHER: &str = " (does another server run here, or does this machine not have the address?)";

impl Doors {
    fn listen(&self) -> Result<()> {
        let sip = self.sip.iter().map(|(_, _, listener)| listener);
        let others = self.http.iter().chain(self.cti.iter().map(|(listener, _)| listener));
        sip.chain(others).try_for_each(|listener| {
            let failed = || format!("cannot listen on {:?}{ANOTHER}", listener.local_addr().ok());
            tcp::listen(listener).with_context(failed)
        })
    }

    /// Lets everybody in.
    fn open(self, edges: &Handle, sources: &Sources) -> Result<()> {
        self.listen()?;
        let _inside = edges.enter();
        for (transport, local, listener) in self.sip {
            let listener = tokio::net::TcpListener::from_std(listener)?;
            edges.spawn(Arc::clone(&sources.tcp).accept(transport, local, listener));
        }
        if let Some((listener, tls)) = self.cti {
            let listener = tokio::net::TcpListener::from_std(listener)?;
            edges.spawn(Arc::clone(&sources.cti).accept(listener, tls));
        }
        match self.http {
            Some(listener) => administer(edges, listener, sources),
            None => Ok(()),
        }
    }
}

/// Opens the administration interface.
fn administer(edges: &Handle, listener: std::net::TcpListener, sources: &Sources) -> Result<()> {
    tcp::listen(&listener).context("cannot listen for the administration interface")?;
    let _inside = edges.enter();
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let sources = sources.clone();
    edges.spawn(async move {
        if let Err(error) = http::serve(listener, sources).await {
            tracing::error!(%error, "the administration interface ended");
        }
    });
    Ok(())
}

/// Starts the `Node`'s thread. The receiver hears of its end, whatever ends it.
fn start_node(
    shell: impl FnOnce() -> io::Result<Shell> + Send + 'static,
) -> Result<(JoinHandle<io::Result<End>>, oneshot::Receiver<()>)> {
    let (alive, ended) = oneshot::channel::<()>();
    let body = move || {
        let _alive = alive;
        let runtime = Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async { Ok(shell()?.run().await) })
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
    /// It serves.
    serving: oneshot::Receiver<()>,
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
    systemd: Systemd,
    sources: Sources,
    settings: Settings,
    directory: Arc<Directory>,
    publish: watch::Sender<Arc<Directory>>,
}

impl Control<'_> {
    /// Until the end of the service, or of the node's thread, which says why it ended.
    async fn run(mut self, mut doors: Doors, mut signals: Signals, mut ends: Ends) -> (Sources, Result<()>) {
        let stands_by = self.settings.ha.pair.is_some().then(|| self.stand_by(&mut doors)).transpose();
        let mut doors = Some(doors);
        if let Err(error) = stands_by {
            self.commands.stop().await;
            return (self.sources, Err(error));
        }
        loop {
            let stop = tokio::select! {
                Ok(()) = &mut ends.serving, if doors.is_some() => {
                    // What came before could only be refused.
                    match doors.take().map_or(Ok(()), |doors| self.let_in(doors)) {
                        Ok(()) => continue,
                        Err(error) => {
                            self.commands.stop().await;
                            return (self.sources, Err(error));
                        }
                    }
                }
                _ = signals.terminate.recv() => "SIGTERM",
                _ = signals.interrupt.recv() => "SIGINT",
                _ = &mut ends.ended => return (self.sources, Ok(())),
                Ok(()) = &mut ends.drained => "none: the server is drained",
                _ = signals.drain.recv() => {
                    let by = "SIGUSR1".into();
                    self.commands.input(Input::Drain(DrainOrder::Start { by })).await;
                    continue;
                }
                _ = signals.hangup.recv() => {
                    self.sources.cdrs.reopen();
                    self.sources.tcp.reload_tls();
                    self.sources.group.reload_tls();
                    self.reload().await;
                    continue;
                }
            };
            tracing::info!(signal = stop, "stopping");
            self.systemd.tell(Word::Stopping);
            self.commands.stop().await;
            return (self.sources, Ok(()));
        }
    }

    /// One of several answers its operator before it serves.
    fn stand_by(&self, doors: &mut Doors) -> Result<()> {
        if let Some(listener) = doors.http.take() {
            administer(&Handle::current(), listener, &self.sources)?;
        }
        tracing::info!(
            server = %self.directory.server.name,
            config = %self.origin,
            version = env!("CARGO_PKG_VERSION"),
            "standing by"
        );
        self.systemd.tell(Word::Ready);
        Ok(())
    }

    /// The server serves: whoever wants something of it may come.
    fn let_in(&self, doors: Doors) -> Result<()> {
        doors.open(&Handle::current(), &self.sources)?;
        let names =
            Resolve::new(Dns::new(&self.settings.dns)?, self.commands.clone(), Arc::clone(&self.sources.tcp));
        tokio::spawn(names.run(self.publish.subscribe()));
        if let Some(peer) = self.settings.peer_http.clone() {
            let own = self.directory.server.name.clone();
            tokio::spawn(readiness::control::watch(peer, own, self.commands.clone()));
        }
        announce(self.origin, &self.directory, &self.settings);
        self.systemd.tell(Word::Ready);
        if self.settings.stat.is_some() {
            stat::start_beside(self.origin);
        }
        Ok(())
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
                    self.sources.group.reloaded(self.origin).await;
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
