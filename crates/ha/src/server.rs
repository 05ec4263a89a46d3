//! See the crate.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use tandem_peer::replica::{Batch, Change as Record, ReplicaSet, Seq};
use tandem_quorum::{
    self as quorum, CannotStart, Change, Member, MemberId, Persisted, Refused, Settings, Status, Unready,
};
use tandem_switch::{self as switch, Directory, Node, Now, Restored, Term};

use crate::snapshot::{self, Making};

/// Bytes of records in one proposal: half of what a member takes, so that the heads of records fit as well.
const PIECE: usize = quorum::limits::MAX_PROPOSAL / 2;

/// How long a change that nothing waits for may wait for another, to travel with it.
const REST: Duration = Duration::from_millis(100);

/// The same of one that something waits for which is in no hurry.
const PATIENCE: Duration = Duration::from_millis(10);

/// What a server begins with.
pub struct Start {
    /// What the disk had of the group.
    pub persisted: Persisted,
    /// How the member behaves.
    pub settings: Settings,
    /// The configuration.
    pub directory: Arc<Directory>,
    /// All the randomness that its Nodes will have.
    pub seed: [u8; 32],
    /// Who writes the records, for people who look at them.
    pub owner: u16,
}

/// One fact from outside.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "nearly every input is a message; a box would allocate for each"
)]
pub enum Input {
    /// For the Node. Lost, as on a network, while this server does not serve.
    Node(switch::Input),
    /// For the member.
    Member(quorum::Input),
    /// What [`Output::Restore`] asked for. It may come at any time after.
    Revived(Box<Revived>),
}

/// One thing to be done, in this order.
#[derive(Debug)]
pub enum Output {
    /// The Node asks for it; never a `Store`.
    Node(switch::Output),
    /// The member asks for it: `Send`, `Write`, `Standing`, `Roster`, `Note`.
    Member(quorum::Output),
    /// A Node is to be made of the records: [`Restore::run`], whose outcome is to come back as [`Input::Revived`]. It takes as
    /// long as there are records, and the member, who must be heard by the others meanwhile, does not wait for it.
    Restore(Box<Restore>),
    /// From now on this server serves, with what came back.
    Serving {
        /// The term.
        epoch: u32,
        /// What there was.
        restored: Restored,
    },
    /// Nothing may leave until [`Serving`](Self::Serving) or [`Resumed`](Self::Resumed): the address included.
    Stopped {
        /// The term that ended.
        epoch: u32,
        /// Why.
        reason: quorum::StandDown,
        /// False: the lease is lost, and calls rest until it is there again or somebody else leads.
        for_good: bool,
    },
    /// The lease is there again, and nobody else served meanwhile.
    Resumed,
    /// What the group had agreed on cannot be read: it stays out of this server's memory.
    Unreadable(Unreadable),
    /// The server that serves has shut down gracefully, to the end, while this one stood by: nothing is left to take over,
    /// and this process is to end as well.
    SiteDrained,
}

/// What of the group's records cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreadable {
    /// A snapshot: all of them.
    Snapshot(snapshot::BadSnapshot),
    /// The changes at this place of the log.
    Changes {
        /// The place.
        index: u64,
        /// Their bytes.
        bytes: usize,
    },
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Snapshot(bad) => bad.fmt(f),
            Self::Changes { index, bytes } => {
                write!(f, "the {bytes} bytes at place {index} of the log are no changes of records")
            }
        }
    }
}

/// See the crate.
pub struct Server {
    member: Member,
    directory: Arc<Directory>,
    seed: [u8; 32],
    owner: u16,
    /// What the group has agreed on.
    agreed: ReplicaSet,
    /// The snapshot that the member asked for.
    making: Option<Making>,
    serving: Option<Serving>,
    /// The epoch that it will serve in as soon as there is a Node for it.
    reviving: Option<u32>,
    /// A witness stays when its site is drained.
    ends_with_site: bool,
    /// The last place that its log had when it started.
    began_with: u64,
    /// The first epoch in which it knew who leads.
    first_epoch: Option<u32>,
    out: VecDeque<Output>,
}

struct Serving {
    node: Node,
    epoch: u32,
    /// Proposals that the member had no room for, or that nothing in a hurry depends on: they leave in their order.
    waiting: VecDeque<Bytes>,
    /// The last batch that is among them, or was.
    stored: u64,
    /// The last batch that the member has.
    proposed: u64,
    /// Since when they wait for company.
    rests_since: Option<Instant>,
}

impl Server {
    /// A server that takes up what its disk had. Drain [`poll_output`](Self::poll_output) afterwards, as after an input.
    ///
    /// # Errors
    /// Why its member cannot start. Nothing has been written then.
    pub fn new(start: Start, now: Now) -> Result<Self, CannotStart> {
        let ends_with_site = start.settings.kind == quorum::Kind::Server;
        let member = Member::start(start.settings, start.persisted, now.mono)?;
        let mut server = Self {
            ends_with_site,
            began_with: member.status(now.mono).last,
            first_epoch: None,
            member,
            directory: start.directory,
            seed: start.seed,
            owner: start.owner,
            agreed: ReplicaSet::new(),
            making: None,
            serving: None,
            reviving: None,
            out: VecDeque::new(),
        };
        server.follow(now);
        Ok(server)
    }

    /// Handles one fact; then drain [`poll_output`](Self::poll_output).
    pub fn handle_input(&mut self, input: Input, now: Now) {
        match input {
            Input::Member(input) => self.member.handle_input(input, now.mono),
            Input::Revived(revived) => self.revived(*revived),
            Input::Node(input) => {
                if let switch::Input::Directory(directory) = &input {
                    self.directory = Arc::clone(directory);
                }
                if let Some(serving) = &mut self.serving {
                    serving.node.handle_input(input, now);
                }
            }
        }
        self.follow(now);
    }

    /// Runs every timer that is due; then drain [`poll_output`](Self::poll_output).
    pub fn handle_timeout(&mut self, now: Now) {
        self.member.handle_timeout(now.mono);
        if let Some(serving) = &mut self.serving {
            if serving.rests_until().is_some_and(|until| until <= now.mono) {
                serving.rests_since = None;
            }
            serving.node.handle_timeout(now);
        }
        if self.making.as_ref().is_some_and(|making| making.next <= now.mono) {
            self.make_snapshot(now);
        }
        self.follow(now);
    }

    /// The process is about to end: nothing waits for company any more. Drain [`poll_output`](Self::poll_output) afterwards.
    pub fn end(&mut self) {
        if let Some(serving) = &mut self.serving {
            serving.rests_since = None;
        }
    }

    /// What to do next; `None` when there is nothing until the next input or timer. What the Node asks for leaves while the
    /// lease holds at `now`, which is therefore to be read anew for each call.
    pub fn poll_output(&mut self, now: Now) -> Option<Output> {
        loop {
            if let Some(output) = self.out.pop_front() {
                return Some(output);
            }
            if let Some(output) = self.nodes_output(now) {
                return Some(Output::Node(output));
            }
            // Only now: what one input made the Node propose travels together.
            if !self.follow(now) {
                return None;
            }
        }
    }

    fn nodes_output(&mut self, now: Now) -> Option<switch::Output> {
        let serving = self.serving.as_mut()?;
        while self.member.lease().holds_at(now.mono) && serving.propose(&mut self.member, now) {
            match serving.node.poll_output()? {
                switch::Output::Store(batch) => serving.store(&batch, now.mono),
                output @ (switch::Output::Transmit(_)
                | switch::Output::Event(_)
                | switch::Output::Cti(_)
                | switch::Output::CtiClose(_)
                | switch::Output::Media(_)
                | switch::Output::Anchor(_)
                | switch::Output::Cdr(_)) => return Some(output),
            }
        }
        None
    }

    /// The next moment at which [`handle_timeout`](Self::handle_timeout) has something to do.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let member = self.member.poll_timeout().map(|(at, _)| at);
        let node = self.node().and_then(Node::poll_timeout).map(|(at, _)| at);
        let rest = self.serving.as_ref().and_then(Serving::rests_until);
        let making = self.making.as_ref().map(|making| making.next);
        [member, node, rest, making].into_iter().flatten().min()
    }

    /// The Node, while this server serves.
    #[must_use]
    pub fn node(&self) -> Option<&Node> {
        self.serving.as_ref().map(|serving| &serving.node)
    }

    /// Whether it serves, or rests until its lease is there again.
    #[must_use]
    pub fn serves(&self) -> bool {
        self.serving.is_some()
    }

    /// Until when it may say anything.
    #[must_use]
    pub fn lease(&self) -> quorum::Lease {
        self.member.lease()
    }

    /// What the member knows of itself and the others.
    #[must_use]
    pub fn status(&self, now: Now) -> Status {
        self.member.status(now.mono)
    }

    /// Members join, leave or are replaced. Asked of the server that serves.
    ///
    /// # Errors
    /// Why not. Nothing has changed then.
    pub fn change(&mut self, change: &Change, now: Now) -> Result<(), Refused> {
        self.member.change(change, now.mono)
    }

    /// Hands over to another server, once that has everything; `force` does not wait for it. Drain
    /// [`poll_output`](Self::poll_output) afterwards.
    ///
    /// # Errors
    /// Why not. Nothing has changed then.
    pub fn switchover(&mut self, to: Option<MemberId>, force: bool, now: Now) -> Result<(), Refused> {
        self.member.switchover(to, force, now.mono).map(drop)
    }

    /// Makes this server go on by command where the votes cannot decide; `force` overrules a leader that is heard. Drain
    /// [`poll_output`](Self::poll_output) afterwards.
    ///
    /// # Errors
    /// Why not. Nothing has changed then.
    pub fn takeover(&mut self, force: bool, now: Now) -> Result<(), Refused> {
        self.member.takeover(force, now.mono)
    }

    /// Empties this server, so that it can join again the group that made what it has a thing of the past. Drain
    /// [`poll_output`](Self::poll_output) afterwards.
    ///
    /// # Errors
    /// Why not. Nothing has changed then.
    pub fn rejoin(&mut self, now: Now) -> Result<(), Refused> {
        self.member.rejoin(now.mono)
    }

    /// Whether it could take over at this moment.
    ///
    /// # Errors
    /// Why not.
    pub fn readiness(&self, now: Now) -> Result<(), Unready> {
        self.member.readiness(now.mono)
    }

    /// Records of the group that this server has.
    #[must_use]
    pub fn records(&self) -> usize {
        self.agreed.len()
    }

    /// Does what the member asks of this server, until it asks for nothing. False: it asked for nothing.
    fn follow(&mut self, now: Now) -> bool {
        let mut asked = false;
        while let Some(output) = self.member.poll_output() {
            asked = true;
            match output {
                quorum::Output::Committed { index, epoch, batch } => self.agreed_on(index, epoch, batch, now),
                quorum::Output::Install(snapshot) => match snapshot::decode(snapshot.data) {
                    Ok(records) => (self.agreed, self.making) = (records, None),
                    Err(bad) => self.out.push_back(Output::Unreadable(Unreadable::Snapshot(bad))),
                },
                quorum::Output::SnapshotWanted { index } => {
                    self.making = Some(Making::begin(&mut self.agreed, index, now.mono));
                    self.make_snapshot(now);
                }
                quorum::Output::Serve { resumed: true, .. } => {
                    if self.serving.is_some() {
                        self.out.push_back(Output::Resumed);
                    }
                }
                quorum::Output::Serve { epoch, resumed: false } => self.serve(epoch, now),
                quorum::Output::StandDown { epoch, reason } => {
                    let for_good = reason != quorum::StandDown::LeaseLost;
                    let served = match for_good {
                        true => self.serving.take().is_some(),
                        false => self.serving.is_some(),
                    };
                    self.reviving.take_if(|_| for_good);
                    // One that has not begun has nothing to stop.
                    if served {
                        self.out.push_back(Output::Stopped { epoch, reason, for_good });
                    }
                }
                quorum::Output::Standing(standing) => {
                    self.rest_is_over(standing);
                    self.first_epoch = self.first_epoch.or(epoch_of(standing));
                    self.out.push_back(Output::Member(quorum::Output::Standing(standing)));
                }
                output @ (quorum::Output::Send { .. }
                | quorum::Output::Write(_)
                | quorum::Output::Roster(_)
                | quorum::Output::Note(_)) => self.out.push_back(Output::Member(output)),
            }
        }
        asked
    }

    fn make_snapshot(&mut self, now: Now) {
        let Some(making) = &mut self.making else { return };
        if let Some(data) = making.go_on(&mut self.agreed, now.mono) {
            let index = making.index;
            self.making = None;
            self.member.handle_input(quorum::Input::SnapshotMade { index, data }, now.mono);
        }
    }

    /// A server whose lease was lost, and that leads no more, will not resume.
    fn rest_is_over(&mut self, standing: quorum::Standing) {
        let leads = matches!(standing, quorum::Standing::Leader { .. });
        self.reviving.take_if(|_| !leads);
        if let Some(serving) = self.serving.take_if(|_| !leads) {
            let reason = quorum::StandDown::Deposed;
            self.out.push_back(Output::Stopped { epoch: serving.epoch, reason, for_good: true });
        }
    }

    fn serve(&mut self, epoch: u32, now: Now) {
        self.agreed.begin_epoch(epoch);
        self.reviving = Some(epoch);
        self.out.push_back(Output::Restore(Box::new(Restore {
            directory: Arc::clone(&self.directory),
            seed: self.seed,
            term: Term { owner: self.owner, epoch },
            records: self.agreed.changes().collect(),
            now,
        })));
    }

    fn revived(&mut self, revived: Revived) {
        let Revived { epoch, directory, mut node, restored, now } = revived;
        // Somebody else may serve by now, or this server in another epoch.
        if self.reviving.take_if(|reviving| *reviving == epoch).is_none() {
            return;
        }
        if !Arc::ptr_eq(&directory, &self.directory) {
            node.handle_input(switch::Input::Directory(Arc::clone(&self.directory)), now);
        }
        self.serving = Some(Serving {
            node,
            epoch,
            waiting: VecDeque::new(),
            stored: 0,
            proposed: 0,
            rests_since: None,
        });
        self.out.push_back(Output::Serving { epoch, restored });
    }

    /// Whether something was agreed on while this process was there: not before it started, and not in an epoch that was over
    /// when it found the others. A server that is started after its site was drained is to serve.
    fn is_news(&self, index: u64, epoch: u32) -> bool {
        index > self.began_with && self.first_epoch.is_some_and(|first| first <= epoch)
    }

    /// A batch has been agreed on: it is part of the records, and what waited for it may leave.
    fn agreed_on(&mut self, index: u64, epoch: u32, proposal: Bytes, now: Now) {
        let bytes = proposal.len();
        let Some(batch) = from_proposal(proposal) else {
            return self.out.push_back(Output::Unreadable(Unreadable::Changes { index, bytes }));
        };
        let mut drained = false;
        for change in batch.changes() {
            self.agreed.apply(&change);
            drained |= switch::says_drained(&change);
        }
        if drained && self.ends_with_site && self.serving.is_none() && self.is_news(index, epoch) {
            self.out.push_back(Output::SiteDrained);
        }
        let Some(serving) = self.serving.as_mut().filter(|serving| serving.epoch == epoch) else { return };
        serving.node.handle_input(switch::Input::Persisted { seq: batch.seq().0 }, now);
    }
}

/// The making of a Node from what a group has agreed on.
pub struct Restore {
    directory: Arc<Directory>,
    seed: [u8; 32],
    term: Term,
    records: Vec<Record>,
    now: Now,
}

/// A Node that knows what the group has agreed on.
pub struct Revived {
    epoch: u32,
    directory: Arc<Directory>,
    node: Node,
    restored: Restored,
    now: Now,
}

impl Restore {
    /// Makes it; on whatever thread.
    #[must_use]
    pub fn run(self) -> Revived {
        let Self { directory, seed, term, records, now } = self;
        let (node, restored) = Node::restored(Arc::clone(&directory), seed, term, records, now);
        Revived { epoch: term.epoch, directory, node, restored, now }
    }
}

impl fmt::Debug for Restore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Restore").field("epoch", &self.term.epoch).finish_non_exhaustive()
    }
}

impl fmt::Debug for Revived {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Revived").field("epoch", &self.epoch).finish_non_exhaustive()
    }
}

impl Serving {
    fn store(&mut self, batch: &Batch, now: Instant) {
        if self.waiting.is_empty() {
            self.rests_since = Some(now);
        }
        self.stored = batch.seq().0;
        self.waiting.extend(proposals(batch));
    }

    /// So long what waits may wait for company, if nothing in a hurry comes to depend on it.
    fn rests_until(&self) -> Option<Instant> {
        let (all, _) = self.node.waits_for();
        self.rests_since.map(|since| since + if all > self.proposed { PATIENCE } else { REST })
    }

    /// Has the group agree on what waits, unless it may wait for company. False: it has no room for all of it yet.
    fn propose(&mut self, member: &mut Member, now: Now) -> bool {
        let (_, hurried) = self.node.waits_for();
        if hurried <= self.proposed && self.rests_until().is_some_and(|until| now.mono < until) {
            return true;
        }
        self.rests_since = None;
        while let Some(proposal) = self.waiting.front() {
            if member.propose(proposal.clone(), now.mono).is_err() {
                return false;
            }
            self.waiting.pop_front();
        }
        self.proposed = self.stored;
        true
    }
}

/// The epoch of a member that knows who leads.
fn epoch_of(standing: quorum::Standing) -> Option<u32> {
    match standing {
        quorum::Standing::Leader { epoch } | quorum::Standing::Follower { epoch, leader: Some(_) } => {
            Some(epoch)
        }
        quorum::Standing::Follower { leader: None, .. }
        | quorum::Standing::Candidate { .. }
        | quorum::Standing::Stopped => None,
    }
}

/// A batch as proposals: each the number that the Node is to be told of, then changes. One that is too long is cut between
/// records; its number stands before the last piece, and 0, which no batch has, before the others.
fn proposals(batch: &Batch) -> Vec<Bytes> {
    if batch.bytes().len() <= PIECE {
        return vec![proposal(batch)];
    }
    let (mut proposals, mut piece, mut bytes) = (Vec::new(), Vec::new(), 0);
    for change in batch.changes() {
        if bytes > 0 && bytes + change.bytes() > PIECE {
            proposals.push(proposal(&Batch::of(Seq(0), std::mem::take(&mut piece))));
            bytes = 0;
        }
        bytes += change.bytes();
        piece.push(change);
    }
    proposals.push(proposal(&Batch::of(batch.seq(), piece)));
    proposals
}

fn proposal(batch: &Batch) -> Bytes {
    let mut out = BytesMut::with_capacity(8 + batch.bytes().len());
    out.put_u64(batch.seq().0);
    out.put_slice(batch.bytes());
    out.freeze()
}

fn from_proposal(mut proposal: Bytes) -> Option<Batch> {
    let seq = proposal.try_get_u64().ok()?;
    Batch::from_bytes(Seq(seq), proposal)
}
