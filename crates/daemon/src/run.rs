//! The loop that drives the server: sockets, disk, timers, commands. One thread owns it all; nothing here waits for anything
//! but the next event, and nothing decides anything.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use tandem_ha::{self as ha, Revived, Server};
use tandem_quorum as quorum;
use tandem_sip::{Transmit, Transport};
use tandem_switch::{Event, Input, Now, Output, Restored};
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinError, JoinHandle};

use crate::command::{Command, Peek};
use crate::edges::cdr::CdrWriter;
use crate::edges::cti::CtiEdge;
use crate::edges::isolation::{Fate, Isolation};
use crate::edges::media::MediaEdge;
use crate::edges::tcp::TcpEdge;
use crate::edges::udp::{Received, UdpEdge};
use crate::group::{Group, GroupNews};
use crate::limits::{
    COMMAND_BUDGET, HANDED_OVER_WITHIN, MAX_COMMANDS, TIMER_SLACK, UDP_BUDGET, UDP_BUDGET_BEHIND,
    UDP_READ_BUDGET,
};
use crate::load::LoadMeter;
use crate::log;
use crate::pulse::{NotHeld, Pulse};

/// The server and what it speaks through.
pub struct Shell {
    /// The server itself.
    pub server: Server,
    /// Datagrams.
    pub udp: UdpEdge,
    /// Connections.
    pub tcp: Arc<TcpEdge>,
    /// Clients of the CTI interface.
    pub cti: Arc<CtiEdge>,
    /// Media servers.
    pub media: Arc<MediaEdge>,
    /// Call records.
    pub cdrs: CdrWriter,
    /// What a drill has cut off.
    pub isolation: Arc<Isolation>,
    /// What a drill holds back until its time, in that order.
    pub delayed: VecDeque<(Instant, Transmit)>,
    /// How far behind it is.
    pub load: LoadMeter,
    /// Who is told that the loop comes round.
    pub pulse: Pulse,
    /// What other threads ask for.
    pub commands: mpsc::Receiver<Command>,
    /// What its member of the group speaks through.
    pub group: Group,
    /// Told when the server serves for the first time.
    pub serves: Option<oneshot::Sender<()>>,
    /// Told when a graceful shutdown is done.
    pub drained: Option<oneshot::Sender<()>>,
    /// A Node is being made of what the group has agreed on.
    pub reviving: Option<JoinHandle<Revived>>,
    /// Why the loop is to end, and when at the latest.
    pub ending: Option<(End, Instant)>,
}

/// Why the loop ended.
#[derive(Debug, PartialEq, Eq)]
pub enum End {
    /// It was told to stop.
    Told,
    /// It serves no more, and does not resume: another server of the site does, or will.
    StoodDown,
    /// The site is drained: the server that served has ended, and this one is not to take over.
    SiteDrained,
    /// It is to serve and cannot.
    Unable(String),
}

/// The clocks, read.
pub fn now() -> Now {
    let unix_ms = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    Now { mono: Instant::now(), unix_ms: u64::try_from(unix_ms).unwrap_or(u64::MAX) }
}

/// What comes of a Node that is being made; never, while none is.
async fn revived(making: &mut Option<JoinHandle<Revived>>) -> Result<Revived, JoinError> {
    match making {
        Some(making) => making.await,
        None => std::future::pending().await,
    }
}

impl Shell {
    /// Runs until it is told to stop, or may not go on.
    pub async fn run(mut self) -> End {
        self.settle(now());
        let timer = tokio::time::sleep_until(Instant::now().into());
        tokio::pin!(timer);
        let mut earliest = Instant::now();
        loop {
            let server = self.server.poll_timeout();
            let delayed = self.delayed.front().map(|(at, _)| *at);
            let next = server
                .into_iter()
                .chain(delayed)
                .chain(self.pulse.due())
                .chain(self.ending.as_ref().map(|(_, by)| *by))
                .min();
            let due = next.map(|at| tokio::time::Instant::from_std(at.max(earliest)));
            match due {
                Some(due) if due < timer.deadline() || timer.is_elapsed() => timer.as_mut().reset(due),
                // One that is only put off wakes the thread at its old time nevertheless.
                Some(due) if due > timer.deadline() + TIMER_SLACK => timer.set(tokio::time::sleep_until(due)),
                Some(_) | None => {}
            }
            tokio::select! {
                socket = self.udp.ready() => self.datagrams(socket),
                () = &mut timer, if due.is_some() => {
                    self.timeout();
                    earliest = Instant::now() + TIMER_SLACK;
                }
                news = self.group.news() => self.group_news(news),
                done = revived(&mut self.reviving) => self.revived(done),
                command = self.commands.recv() => match command {
                    Some(command) => if self.commands(command).is_break() { return End::Told },
                    None => return End::Told,
                },
            }
            let now = now();
            if let Some((end, _)) = self.ending.take_if(|(_, by)| *by <= now.mono || self.group.follows()) {
                return end;
            }
            self.tell_load(now);
            self.pulse.beat(self.server.serves().then(|| self.server.lease()), now.mono);
            if self.udp.has_waiting() {
                // What waits is always ready: only here does the runtime look at sockets and clocks meanwhile.
                tokio::task::yield_now().await;
            }
        }
    }

    fn revived(&mut self, done: Result<Revived, JoinError>) {
        self.reviving = None;
        let now = now();
        match done {
            Ok(revived) => {
                self.server.handle_input(ha::Input::Revived(Box::new(revived)), now);
                self.settle(now);
            }
            Err(error) => {
                let why = format!("the records of the group cannot be taken up: {error}");
                self.ending = Some((End::Unable(why), now.mono));
            }
        }
    }

    fn group_news(&mut self, news: GroupNews) {
        match news {
            GroupNews::Frame(bytes) => {
                self.member(quorum::Input::Frame { bytes });
                // Those that came with it: the clock of the group does not wait for its own turn.
                for _ in 1..COMMAND_BUDGET {
                    let Ok(bytes) = self.group.frames.try_recv() else { break };
                    self.member(quorum::Input::Frame { bytes });
                }
                self.settle(now());
            }
            GroupNews::Disk => self.stored(),
        }
    }

    fn member(&mut self, input: quorum::Input) {
        self.server.handle_input(ha::Input::Member(input), now());
    }

    /// What the disk has by now may be answered for.
    fn stored(&mut self) {
        if let Some(token) = self.group.disk.stored() {
            self.member(quorum::Input::Stored { token });
            self.settle(now());
        }
    }

    /// What came to a socket, and then some of what waited.
    fn datagrams(&mut self, socket: Option<usize>) {
        self.udp.flush();
        let mut budget = UDP_BUDGET;
        if let Some(socket) = socket {
            // What is read ahead holds up no call: only what waited in the kernel makes the server behind.
            let emptied = self.read(socket);
            if let Some(waited) = self.udp.waited() {
                self.load.read(socket, waited);
            }
            budget = if emptied { UDP_BUDGET } else { UDP_BUDGET_BEHIND };
        }
        for _ in 0..budget {
            let now = now();
            match self.udp.next_waiting(now.mono) {
                Received::Message(flow, message) => self.handle(Input::Sip { flow, message }, now),
                Received::Dropped | Received::Waits => {}
                Received::Nothing => break,
            }
        }
        let now = now();
        self.udp.complain(now.mono);
        self.settle(now);
    }

    /// Reads a socket and handles what may not wait. True: it has nothing more.
    fn read(&mut self, socket: usize) -> bool {
        let mut handled = 0;
        for _ in 0..UDP_READ_BUDGET {
            let now = now();
            match self.udp.receive(socket, now.mono) {
                Received::Message(flow, message) => {
                    self.handle(Input::Sip { flow, message }, now);
                    handled += 1;
                    if handled == UDP_BUDGET {
                        return false;
                    }
                }
                Received::Waits | Received::Dropped => {}
                Received::Nothing => return true,
            }
        }
        false
    }

    /// Tells the node, from time to time, how much waits for it.
    fn tell_load(&mut self, now: Now) {
        let queued = self.commands.len() * 100 / MAX_COMMANDS;
        if let Some(load) = self.load.due(queued, now.mono) {
            self.tell(Input::Load(load), now);
            self.settle(now);
        }
    }

    fn timeout(&mut self) {
        let now = now();
        while let Some((_, transmit)) = self.delayed.pop_front_if(|(at, _)| *at <= now.mono) {
            self.transmit(transmit, now);
        }
        self.server.handle_timeout(now);
        self.settle(now);
    }

    fn commands(&mut self, first: Command) -> ControlFlow<()> {
        let mut command = first;
        for left in (0..COMMAND_BUDGET).rev() {
            match command {
                Command::Input(input) => self.handle(input, now()),
                Command::Ask(question) => {
                    let udp = self.udp.counters();
                    let disk = &self.group.disk;
                    let peek = self.server.node().map(|node| Peek { node, now: now(), udp, disk });
                    question(peek.as_ref());
                }
                Command::Group(question) => {
                    let now = now();
                    question(&mut self.server, &self.group.disk, now);
                    self.settle(now);
                }
                Command::Stop => {
                    self.server.end();
                    self.settle(now());
                    return ControlFlow::Break(());
                }
            }
            // One that is taken out of the queue is carried out: the budget is asked first.
            let Some(next) = (left > 0).then(|| self.commands.try_recv().ok()).flatten() else { break };
            command = next;
        }
        ControlFlow::Continue(())
    }

    fn handle(&mut self, input: Input, now: Now) {
        if let Input::Sip { flow, message } = &input
            && !self.isolation.lets_in(*flow, message, now.mono)
        {
            return;
        }
        self.tell(input, now);
        self.settle(now);
    }

    /// Carries out everything the `Node` asks for, and tells it which flows failed meanwhile.
    fn settle(&mut self, now: Now) {
        loop {
            // The clock is read for each: what leaves late could leave after the lease.
            while let Some(output) = self.server.poll_output(self::now()) {
                self.follow(output, now);
            }
            let Some(flow) = self.udp.failed() else { break };
            self.tell(Input::FlowFailed { flow }, now);
        }
    }

    fn transmit(&mut self, transmit: Transmit, now: Now) {
        match transmit.flow.transport {
            Transport::Udp => self.udp.send(transmit.flow, transmit.payload),
            Transport::Tcp | Transport::Tls | Transport::Ws | Transport::Wss => {
                if let Err(flow) = self.tcp.send(transmit.flow, transmit.payload) {
                    self.tell(Input::FlowFailed { flow }, now);
                }
            }
        }
    }

    fn tell(&mut self, input: Input, now: Now) {
        self.server.handle_input(ha::Input::Node(input), now);
    }

    fn follow(&mut self, output: ha::Output, now: Now) {
        match output {
            ha::Output::Node(output) => self.carry_out(output, now),
            ha::Output::Member(output) => {
                let group =
                    matches!(output, quorum::Output::Roster(_)).then(|| self.server.status(now).group);
                self.group.carry_out(output, group);
            }
            ha::Output::Restore(restore) => {
                self.reviving = Some(tokio::task::spawn_blocking(move || restore.run()));
            }
            ha::Output::Serving { epoch, restored } => self.serving(epoch, &restored, now),
            ha::Output::Stopped { epoch, reason, for_good } => {
                self.pulse.drop_address();
                if for_good {
                    tracing::warn!(epoch, %reason, "this server serves no more");
                    // The word to the one that is to take over leaves first.
                    self.ending = Some((End::StoodDown, now.mono + HANDED_OVER_WITHIN));
                } else {
                    tracing::error!(epoch, %reason, "this server rests: nothing leaves it");
                }
            }
            ha::Output::Resumed => {
                tracing::warn!("this server serves again: nobody else did meanwhile");
                self.take_address(now);
            }
            ha::Output::Unreadable(bad) => {
                tracing::error!(%bad, "records of the group are lost to this server");
            }
            ha::Output::SiteDrained => {
                tracing::warn!("the site is drained: this server, which stood by, ends as well");
                self.ending = Some((End::SiteDrained, now.mono));
            }
        }
    }

    /// Addresses first: what leaves before them goes nowhere.
    fn serving(&mut self, epoch: u32, restored: &Restored, now: Now) {
        self.take_address(now);
        self.media.serves(self.server.status(now).group, epoch);
        tracing::info!(epoch, %restored, "this server serves");
        self.tell_where(now);
        if let Some(serves) = self.serves.take() {
            // Nobody listens any more when the process is ending already.
            let _ = serves.send(());
        }
    }

    /// Members that are added later find this server where it is now: one that was alone has told nobody, and one that was moved
    /// something else.
    fn tell_where(&mut self, now: Now) {
        let Some(address) = self.group.address.clone() else { return };
        let status = self.server.status(now);
        let me = status.members.into_iter().find(|member| member.info.id == status.id);
        let Some(me) = me.filter(|me| me.info.address != address) else { return };
        let change = quorum::Change::add(quorum::MemberInfo { address, ..me.info });
        if let Err(refused) = self.server.change(&change, now) {
            tracing::error!(%refused, "the other members cannot be told where this one is");
        }
    }

    fn take_address(&mut self, now: Now) {
        match self.pulse.take(self.server.lease(), now.mono) {
            Ok(()) => {}
            // With nobody to take over a server that lacks its address is better found out at once.
            Err(NotHeld::Refused(why)) if self.group.links.is_none() => {
                let why = format!("cannot hold the virtual address: {why}");
                self.ending = Some((End::Unable(why), now.mono));
            }
            Err(why) => tracing::error!(
                %why,
                "the virtual address is not here yet, and nothing can be sent from it: it is tried again"
            ),
        }
    }

    fn carry_out(&mut self, output: Output, now: Now) {
        match output {
            // The server keeps it for itself.
            Output::Store(_) => {}
            Output::Transmit(transmit) => {
                match self.isolation.fate(transmit.flow, self.delayed.len(), now.mono) {
                    Fate::Sent => self.transmit(transmit, now),
                    Fate::Dropped => {}
                    Fate::Later(after) => self.delayed.push_back((now.mono + after, transmit)),
                }
            }
            Output::Cti(outgoing) => self.cti.send(outgoing),
            Output::CtiClose(link) => self.cti.close(link),
            Output::Media(order) => {
                if let Some(news) = self.media.order(&order) {
                    self.tell(Input::Media(news), now);
                }
            }
            Output::Anchor(order) => {
                if let Some(news) = self.media.order_anchor(&order) {
                    self.tell(Input::Anchor(news), now);
                }
            }
            Output::Event(event) => {
                log::event(&event);
                if matches!(event, Event::Drained { .. })
                    && let Some(drained) = self.drained.take()
                {
                    // Nobody listens any more when the process is ending already.
                    let _ = drained.send(());
                }
            }
            Output::Cdr(cdr) => {
                log::call_over(&cdr);
                // A call that came over the peer trunk is counted where it came in.
                let peer = self.server.node().and_then(|node| node.peer_trunk());
                let came_in_here = cdr.legs.first().is_some_and(|leg| Some(&*leg.device) != peer);
                self.cdrs.write(cdr, came_in_here);
            }
        }
    }
}
