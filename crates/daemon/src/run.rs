//! The loop that drives the `Node`: sockets, timers, commands. One thread owns it all; nothing here waits for anything
//! but the next event, and nothing decides anything.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use tandem_sip::{Transmit, Transport};
use tandem_switch::{Event, Input, Node, Now, Output};
use tokio::sync::{mpsc, oneshot};

use crate::command::{Command, Peek};
use crate::edges::cdr::CdrWriter;
use crate::edges::cti::CtiEdge;
use crate::edges::isolation::{Fate, Isolation};
use crate::edges::media::MediaEdge;
use crate::edges::tcp::TcpEdge;
use crate::edges::udp::{Received, UdpEdge};
use crate::limits::{COMMAND_BUDGET, MAX_COMMANDS, TIMER_SLACK, UDP_BUDGET};
use crate::load::LoadMeter;
use crate::log;

/// The `Node` and what it speaks through.
pub struct Shell {
    /// The server itself.
    pub node: Node,
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
    /// What other threads ask for.
    pub commands: mpsc::Receiver<Command>,
    /// Told when a graceful shutdown is done.
    pub drained: Option<oneshot::Sender<()>>,
}

/// The clocks, read.
pub fn now() -> Now {
    let unix_ms = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    Now { mono: Instant::now(), unix_ms: u64::try_from(unix_ms).unwrap_or(u64::MAX) }
}

impl Shell {
    /// Runs until it is told to stop.
    pub async fn run(mut self) {
        self.settle(now());
        let timer = tokio::time::sleep_until(Instant::now().into());
        tokio::pin!(timer);
        let mut earliest = Instant::now();
        loop {
            let node = self.node.poll_timeout().map(|(at, _)| at);
            let next = node.into_iter().chain(self.delayed.front().map(|(at, _)| *at)).min();
            let due = next.map(|at| tokio::time::Instant::from_std(at.max(earliest)));
            if let Some(due) = due.filter(|due| *due < timer.deadline() || timer.is_elapsed()) {
                timer.as_mut().reset(due);
            }
            tokio::select! {
                socket = self.udp.ready() => self.datagrams(socket),
                () = &mut timer, if due.is_some() => {
                    self.timeout();
                    earliest = Instant::now() + TIMER_SLACK;
                }
                command = self.commands.recv() => match command {
                    Some(command) => if self.commands(command).is_break() { return },
                    None => return,
                },
            }
            self.tell_load(now());
        }
    }

    fn datagrams(&mut self, socket: usize) {
        self.udp.flush();
        let mut emptied = false;
        for _ in 0..UDP_BUDGET {
            let now = now();
            match self.udp.receive(socket, now.mono) {
                Received::Message(flow, message) => self.handle(Input::Sip { flow, message }, now),
                Received::Dropped => {}
                Received::Nothing => {
                    emptied = true;
                    break;
                }
            }
        }
        let now = now();
        self.load.turn(socket, emptied, now.mono);
        self.settle(now);
    }

    /// Tells the node, from time to time, how much waits for it.
    fn tell_load(&mut self, now: Now) {
        let queued = self.commands.len() * 100 / MAX_COMMANDS;
        if let Some(load) = self.load.due(queued, now.mono) {
            self.node.handle_input(Input::Load(load), now);
            self.settle(now);
        }
    }

    fn timeout(&mut self) {
        let now = now();
        while let Some((_, transmit)) = self.delayed.pop_front_if(|(at, _)| *at <= now.mono) {
            self.transmit(transmit, now);
        }
        self.node.handle_timeout(now);
        self.settle(now);
    }

    fn commands(&mut self, first: Command) -> ControlFlow<()> {
        let mut command = first;
        for left in (0..COMMAND_BUDGET).rev() {
            match command {
                Command::Input(input) => self.handle(input, now()),
                Command::Ask(question) => {
                    question(&Peek { node: &self.node, now: now(), udp: self.udp.counters() });
                }
                Command::Stop => return ControlFlow::Break(()),
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
        self.node.handle_input(input, now);
        self.settle(now);
    }

    /// Carries out everything the `Node` asks for, and tells it which flows failed meanwhile.
    fn settle(&mut self, now: Now) {
        loop {
            while let Some(output) = self.node.poll_output() {
                self.carry_out(output, now);
            }
            let Some(flow) = self.udp.failed() else { break };
            self.node.handle_input(Input::FlowFailed { flow }, now);
        }
    }

    fn transmit(&mut self, transmit: Transmit, now: Now) {
        match transmit.flow.transport {
            Transport::Udp => self.udp.send(transmit.flow, transmit.payload),
            Transport::Tcp | Transport::Tls | Transport::Ws | Transport::Wss => {
                if let Err(flow) = self.tcp.send(transmit.flow, transmit.payload) {
                    self.node.handle_input(Input::FlowFailed { flow }, now);
                }
            }
        }
    }

    fn carry_out(&mut self, output: Output, now: Now) {
        match output {
            // One node alone keeps its records in memory: they are as safe as they will be.
            Output::Store(batch) => self.node.handle_input(Input::Persisted { seq: batch.seq().0 }, now),
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
                    self.node.handle_input(Input::Media(news), now);
                }
            }
            Output::Anchor(order) => {
                if let Some(news) = self.media.order_anchor(&order) {
                    self.node.handle_input(Input::Anchor(news), now);
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
                let peer = self.node.peer_trunk();
                let came_in_here = cdr.legs.first().is_some_and(|leg| Some(&*leg.device) != peer);
                self.cdrs.write(cdr, came_in_here);
            }
        }
    }
}
