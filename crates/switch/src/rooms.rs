//! What the rooms of one node share: the transaction layer, who is registered, what is believed about the trunks, and
//! the queues that lead outside. [`Node`](crate::Node) owns it next to the calls, so a call may use all of it.

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::net::SocketAddr;
use std::sync::Arc;

use tandem_peer::ChangeLog;
use tandem_peer::trunk::{CallFailure, ProbeId};
use tandem_sip::{Builder, Endpoint, Envelope, Flow, HeaderName, Message, Transport, TxnId, response_to};

use crate::acks::Acks;
use crate::admission::Admission;
use crate::anchor::Anchors;
use crate::arena::Key;
use crate::away::Away;
use crate::call::{Repeated, Side, Takebacks};
use crate::cdr::Cdr;
use crate::directory::{Directory, DnId, TrunkId};
use crate::event::Event;
use crate::guard::{Guard, Ledger};
use crate::ids::{Ids, Tag};
use crate::lines::Lines;
use crate::metrics::Counters;
use crate::overload::Overload;
use crate::registrar::Registrar;
use crate::reject::Reject;
use crate::time::Now;
use crate::trunks::{TargetNo, Trunks};
use crate::unwritten::Unwritten;

/// The far end of a leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Device {
    /// An Extension DN.
    Extension(DnId),
    /// A Trunk DN.
    Trunk(TrunkId),
    /// The mixer of conferences.
    Mixer,
}

/// What a transaction is for: kept with it by the transaction layer and handed back with whatever happens to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// The INVITE that opened a call.
    Invite(Key),
    /// An INVITE to one possible callee.
    Branch(Key, u8),
    /// A re-INVITE from a party.
    ReinviteFrom(Key),
    /// That re-INVITE, relayed to the other party.
    ReinviteTo(Key),
    /// Another in-dialog request, relayed; the number names the waiting request.
    Relay(Key, u16),
    /// The BYE to one side.
    Bye(Key, Side),
    /// The BYE to somebody whose answer came too late.
    Stray(Key),
    /// The audit of one side's dialog.
    Audit(Key, Side),
    /// A refresh of the session with a leg.
    Refresh(Key, crate::call::LegNo),
    /// A request of this server's own to a party; the number names it.
    Told(Key, u16),
    /// An OPTIONS probe of a device.
    Probe(Device, TargetNo, ProbeId),
    /// A NOTIFY to a watcher.
    Notify(Key),
    /// The OPTIONS to the registered contact with this record.
    Pulse(u64),
    /// Nobody waits for the outcome.
    Nobody,
}

/// What a room tells the node after it has handled something.
#[derive(Debug)]
pub enum Fact {
    /// A call attempt to a device, by this flow, failed without an answer.
    CallFailed(Device, Flow, CallFailure),
    /// Something for operators and desktops.
    Event(Event),
    /// A call is over.
    Ended(Box<Cdr>),
    /// A callee redirected the call: the way is to be found.
    Redirected(Key, Box<crate::call::Redirected>),
    /// A party of a call sent REFER: the way is to be found.
    Refer(Key, Box<crate::call::Referred>),
    /// A call wants something of a media server.
    Media(crate::media::MediaOrder),
    /// What a call tells the floor.
    Call(Key, crate::call::News),
}

/// See the module.
#[derive(Debug)]
pub struct Rooms {
    /// The transaction layer.
    pub endpoint: Endpoint<Use>,
    /// What is configured now.
    pub directory: Arc<Directory>,
    /// Own lines.
    pub lines: Lines,
    /// Who is registered.
    pub registrar: Registrar,
    /// Addresses that lead to one phone.
    pub gruus: crate::gruu::Gruus,
    /// Who proves who he is.
    pub admission: Admission,
    /// What is remembered of sources that misbehave.
    pub guard: Guard,
    /// External calls on somebody's account, and emergency calls.
    pub ledger: Ledger,
    /// How hard the load presses.
    pub overload: Overload,
    /// What is believed about trunks and probed devices.
    pub trunks: Trunks,
    /// Randomness.
    pub ids: Ids,
    /// What graceful migration sends to the peer, while it is under way.
    pub share: Option<crate::share::Share>,
    /// Connections that are nailed up to agents' phones.
    pub nailed: crate::call::Lines,
    /// ACKs whose 2xx may come again.
    pub(crate) acks: Acks,
    /// Legs whose media a media server carries.
    pub(crate) anchors: Anchors,
    /// INVITEs of an earlier process that are taken back.
    pub(crate) takebacks: Takebacks,
    /// INVITEs that an earlier process has answered.
    pub(crate) repeated: Repeated,
    /// What waits for phones to come back.
    pub(crate) away: Away,
    /// Which call a local tag belongs to.
    pub tags: HashMap<Tag, Key, foldhash::fast::RandomState>,
    /// Changes to what must survive.
    pub log: ChangeLog,
    /// Numbers of the next records.
    pub next_record: u64,
    /// Calls that are over and whose records for the operator are not known to be written.
    pub(crate) unwritten: Unwritten,
    /// Makes the To-tags of responses without a transaction.
    tag_key: foldhash::quality::FixedState,
    /// Counters.
    pub counters: Counters,
    /// What the node must be told.
    pub facts: Vec<Fact>,
    /// What calls have told, kept for who drives them in the floor's place.
    pub(crate) overheard: Option<Vec<(Key, crate::call::News)>>,
    /// Buffer in which messages are printed.
    pub scratch: Vec<u8>,
    /// The moment of the input at hand.
    pub now: Now,
}

impl Rooms {
    /// The shared part of a new node.
    #[must_use]
    pub fn new(directory: Arc<Directory>, seed: [u8; 32], now: Now) -> Self {
        let mut ids = Ids::new(seed);
        let branch_seed = ids.bits();
        let tag_key = foldhash::quality::FixedState::with_seed(ids.bits());
        Self {
            endpoint: Endpoint::new(directory.options.timers, branch_seed),
            lines: Lines::of(&directory),
            registrar: Registrar::new(&directory),
            gruus: crate::gruu::Gruus::new(&directory.server.nonce_secret),
            admission: Admission::new(directory.server.nonce_secret),
            guard: Guard::default(),
            ledger: Ledger::default(),
            overload: Overload::default(),
            trunks: Trunks::new(&directory, now),
            ids,
            share: None,
            nailed: crate::call::Lines::default(),
            acks: Acks::default(),
            anchors: Anchors::with_music(directory.options.default_music.clone()),
            takebacks: Takebacks::default(),
            repeated: Repeated::default(),
            away: Away::default(),
            tags: HashMap::default(),
            tag_key,
            log: ChangeLog::new(0, 1),
            next_record: 0,
            unwritten: Unwritten::default(),
            counters: Counters::default(),
            facts: Vec::new(),
            overheard: None,
            scratch: Vec::with_capacity(4096),
            now,
            directory,
        }
    }

    /// Takes a new configuration.
    pub fn adopt(&mut self, directory: Arc<Directory>) {
        let old = std::mem::replace(&mut self.directory, directory);
        self.lines = Lines::of(&self.directory);
        self.anchors.music.clone_from(&self.directory.options.default_music);
        self.registrar.adopt(&old, &self.directory, &mut self.log);
        self.registrar.settle(self.now.mono);
        self.trunks.adopt(&old, &self.directory, self.now, &mut self.facts);
    }

    /// Stores what has become of trunks and of those who were locked out.
    pub(crate) fn keep_beliefs(&mut self) {
        self.trunks.keep(&self.directory, self.now, &mut self.log, &mut self.next_record);
        self.guard.locks.keep(self.now, &mut self.log, &mut self.next_record);
    }

    /// A record number that no record of this process has had.
    pub fn record_id(&mut self) -> u64 {
        self.next_record += 1;
        self.next_record
    }

    /// The flow on which requests to an address leave.
    #[must_use]
    pub fn flow_to(&self, transport: Transport, remote: SocketAddr) -> Flow {
        let fits = |listen: &&crate::directory::Listen| {
            listen.transport == transport && listen.addr.is_ipv4() == remote.is_ipv4()
        };
        let listen = &self.directory.server.listen;
        let local = listen
            .iter()
            .position(|l| fits(&l))
            .or_else(|| listen.iter().position(|l| l.transport == transport));
        Flow { transport, local: local.and_then(|i| u8::try_from(i).ok()).unwrap_or(0), remote, conn: 0 }
    }

    /// Answers a request through its transaction, without a body.
    pub fn respond(&mut self, txn: TxnId, flow: Flow, request: &Message, reject: &Reject) {
        let tag = self.ids.tag();
        self.respond_as(tag, txn, flow, request, reject);
    }

    /// The same with a To-tag that the other side knows already.
    pub fn respond_as(&mut self, tag: Tag, txn: TxnId, flow: Flow, request: &Message, reject: &Reject) {
        let Ok(env) = request.envelope() else { return };
        let payload = self.print_reject(flow, request, &env, reject, tag);
        self.endpoint.respond(txn, reject.status, payload, self.now.mono);
    }

    /// Refuses a request. A challenge leaves no transaction behind, nor does the refusal of a stranger's INVITE, which
    /// would be sent again and again to an address that he may have made up: until somebody has proven who he is, nothing
    /// of what he sends may cost memory or bring more than he sent (RFC 3261 8.2.7).
    pub fn refuse(&mut self, txn: TxnId, flow: Flow, request: &Message, env: &Envelope<'_>, reject: &Reject) {
        if reject.status == 401 || self.is_strangers_invite(flow, env) {
            self.refuse_and_forget(txn, flow, request, env, reject);
        } else {
            let tag = self.ids.tag();
            let payload = self.print_reject(flow, request, env, reject, tag);
            self.endpoint.respond(txn, reject.status, payload, self.now.mono);
        }
    }

    /// Refuses a request and forgets it. The To-tag is the same for a retransmission.
    pub fn refuse_and_forget(
        &mut self,
        txn: TxnId,
        flow: Flow,
        request: &Message,
        env: &Envelope<'_>,
        reject: &Reject,
    ) {
        let tag = Tag(self.tag_key.hash_one((env.via.branch(), env.call_id, env.cseq.number)));
        let payload = self.print_reject(flow, request, env, reject, tag);
        self.endpoint.respond_and_forget(txn, payload);
    }

    /// The refusal of a request within a dialog, should somebody else have to send it.
    pub(crate) fn printed(&mut self, flow: Flow, request: &Message, reject: &Reject) -> Option<bytes::Bytes> {
        let env = request.envelope().ok()?;
        Some(self.print_reject(flow, request, &env, reject, Tag(0)))
    }

    /// Answers a request that has no transaction.
    pub fn respond_stateless(&mut self, flow: Flow, request: &Message, reject: &Reject) {
        let Ok(env) = request.envelope() else { return };
        let tag = self.ids.tag();
        let payload = self.print_reject(flow, request, &env, reject, tag);
        self.endpoint.reply_stateless(Endpoint::<Use>::response_flow(&flow, &env), payload);
    }

    fn print_reject(
        &mut self,
        flow: Flow,
        request: &Message,
        env: &Envelope<'_>,
        reject: &Reject,
        tag: Tag,
    ) -> bytes::Bytes {
        let tag = tag.text();
        let tag = (reject.status > 100).then_some(tag.as_slice());
        let reason = reject.reason.unwrap_or_else(|| phrase(reject.status));
        let mut builder = response_to(
            &mut self.scratch,
            request,
            env,
            reject.status,
            reason.as_bytes(),
            tag,
            Some(flow.remote),
        );
        for (name, value) in &reject.headers {
            builder.header(*name, value);
        }
        builder.finish(b"")
    }

    /// Reports something to operators and desktops.
    pub fn report(&mut self, event: Event) {
        self.facts.push(Fact::Event(event));
    }

    /// What a device of an older directory is called in the current one; `None` when it is gone.
    #[must_use]
    pub fn now_called(&self, directory: &Arc<Directory>, device: Device) -> Option<Device> {
        if Arc::ptr_eq(directory, &self.directory) {
            return Some(device);
        }
        let name = Self::name_of(directory, device);
        match device {
            Device::Extension(_) => self.directory.find(name.as_bytes()).map(Device::Extension),
            Device::Trunk(_) => self.directory.trunk_named(name).map(Device::Trunk),
            Device::Mixer => self.directory.floor().mixer.as_ref().map(|_| Device::Mixer),
        }
    }

    /// The printed name of a device of a directory.
    #[must_use]
    pub fn name_of(directory: &Directory, device: Device) -> &str {
        match device {
            Device::Extension(id) => directory.extension(id).map_or("?", |e| &e.number),
            Device::Trunk(id) => directory.trunk(id).map_or("?", |t| &t.name),
            Device::Mixer => directory.floor().mixer.as_ref().map_or("?", |mixer| &mixer.name),
        }
    }

    /// The same, shared with the directory.
    #[must_use]
    pub fn shared_name(directory: &Directory, device: Device) -> Option<Arc<str>> {
        Some(Arc::clone(match device {
            Device::Extension(id) => &directory.extension(id)?.number,
            Device::Trunk(id) => &directory.trunk(id)?.name,
            Device::Mixer => &directory.floor().mixer.as_ref()?.name,
        }))
    }
}

/// The standard's reason phrase.
#[must_use]
pub fn phrase(status: u16) -> &'static str {
    tandem_sip::rsip_bridge::reason_phrase(status)
}

/// Writes what every dialog-forming message of ours says about itself.
pub fn own_headers(builder: &mut Builder<'_>, contact: &[u8]) {
    builder
        .header(HeaderName::Contact, contact)
        .header(HeaderName::Allow, ALLOW)
        .header(HeaderName::Supported, crate::call::OWN);
}

/// Methods this server takes.
pub const ALLOW: &[u8] =
    b"INVITE, ACK, CANCEL, BYE, OPTIONS, REGISTER, PRACK, UPDATE, INFO, MESSAGE, NOTIFY, SUBSCRIBE, REFER";
