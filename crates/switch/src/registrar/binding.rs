//! One binding of an address of record to a contact (RFC 3261 10.3), and its stored form.

use std::net::SocketAddr;

use tandem_peer::replica::{Reader, Record, Writer};
use tandem_sip::lexer::split_element;
use tandem_sip::{Flow, NameAddr, Params, Uri};

use super::ghost::{Ghost, Quarantine};
use super::{contact, reach};
use crate::stored::{address, code_of, flow, put_address, put_flow};
use crate::time::Deadline;

/// A registered contact. The texts lie in one buffer: number, contact URI, contact parameters, Path, Call-ID.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    text: Box<[u8]>,
    number_len: u16,
    uri_len: u16,
    params_len: u16,
    path_len: u16,
    q: u16,
    cseq: u32,
    /// Which flow of the phone's instance it is (RFC 5626); 0: it is not one.
    reg_id: u32,
    expires: Deadline,
    updated_unix_ms: u64,
    flow: Flow,
    /// Where the REGISTER came from, when that is not where requests go.
    source: Option<Box<SocketAddr>>,
    /// The contact, or its Path, names an address that can be dialled when its connection is gone.
    dialable: bool,
    /// It is reached where its REGISTER came from, whatever its contact says.
    nat: bool,
    quarantine: Option<Box<Quarantine>>,
}

/// The texts of a binding, joined: what a new binding is made of and an old one is compared with.
#[derive(Debug)]
pub(super) struct Texts<'a> {
    pub text: &'a [u8],
    pub number_len: u16,
    pub uri_len: u16,
    pub params_len: u16,
    pub path_len: u16,
}

/// What a REGISTER says about a binding besides its texts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Facts {
    pub q: u16,
    pub cseq: u32,
    pub reg_id: u32,
    pub expires: Deadline,
    pub updated_unix_ms: u64,
    pub flow: Flow,
    pub source: SocketAddr,
    pub dialable: bool,
    pub nat: bool,
}

impl Binding {
    pub(super) fn new(texts: &Texts<'_>, facts: &Facts) -> Self {
        let mut binding = Self {
            text: Box::default(),
            number_len: 0,
            uri_len: 0,
            params_len: 0,
            path_len: 0,
            q: facts.q,
            cseq: facts.cseq,
            reg_id: facts.reg_id,
            expires: facts.expires,
            updated_unix_ms: facts.updated_unix_ms,
            flow: facts.flow,
            source: None,
            dialable: false,
            nat: false,
            quarantine: None,
        };
        binding.refresh(texts, facts);
        binding
    }

    /// Takes over what a later REGISTER says. Allocates only when a text changed.
    pub(super) fn refresh(&mut self, texts: &Texts<'_>, facts: &Facts) {
        if *self.text != *texts.text {
            self.text = texts.text.into();
        }
        (self.number_len, self.uri_len, self.params_len, self.path_len) =
            (texts.number_len, texts.uri_len, texts.params_len, texts.path_len);
        (self.q, self.cseq, self.reg_id, self.expires) = (facts.q, facts.cseq, facts.reg_id, facts.expires);
        self.updated_unix_ms = facts.updated_unix_ms;
        self.flow = facts.flow;
        if self.source() != facts.source {
            self.source = (facts.source != facts.flow.remote).then(|| Box::new(facts.source));
        }
        (self.dialable, self.nat, self.quarantine) = (facts.dialable, facts.nat, None);
    }

    /// The connection that leads to the phone is gone. What remains is the address of the first proxy of its Path, or its
    /// contact's own, if it has one that can be dialled; otherwise, and if it was a flow of RFC 5626 that ended here, the
    /// phone cannot be reached until it registers again, and the binding is removed `until` then.
    pub(super) fn lose_connection(&mut self, until: Deadline) {
        if self.flow.conn == 0 {
            return;
        }
        let source = self.source();
        match self.redialled().filter(|_| self.dialable) {
            Some(remote) => {
                self.flow.remote = remote;
                self.source = (source != remote).then(|| Box::new(source));
            }
            None => self.put_away(Ghost::ConnectionClosed, until),
        }
        self.flow.conn = 0;
    }

    /// Where the phone, or the proxy in front of it, would be dialled.
    fn redialled(&self) -> Option<SocketAddr> {
        let transport = self.flow.transport;
        if self.path_len != 0 {
            let (first, _) = split_element(self.path());
            let proxy = NameAddr::parse(first).and_then(|address| address.uri()).ok()?;
            return reach::redial_proxy(&proxy, transport, self.source());
        }
        let uri = Uri::parse(self.uri()).ok().filter(|_| self.reg_id == 0)?;
        reach::address_of(&uri, transport)
    }

    /// Takes it out of use.
    pub(super) fn put_away(&mut self, why: Ghost, until: Deadline) {
        self.quarantine = Some(Box::new(Quarantine { why, until: until.min(self.expires) }));
    }

    /// Puts it back into use.
    pub(super) fn take_back(&mut self) {
        self.quarantine = None;
    }

    /// How long it was granted for when it was last renewed, s.
    #[must_use]
    pub fn granted_s(&self) -> u32 {
        let granted_ms = self.expires.unix_ms().saturating_sub(self.updated_unix_ms);
        u32::try_from(granted_ms.div_ceil(1000)).unwrap_or(u32::MAX)
    }

    /// Number of the Extension DN it belongs to.
    #[must_use]
    pub fn number(&self) -> &[u8] {
        self.part(0, self.number_len)
    }

    /// The contact URI, as the phone wrote it.
    #[must_use]
    pub fn uri(&self) -> &[u8] {
        self.part(usize::from(self.number_len), self.uri_len)
    }

    /// The contact's parameters other than `q` and `expires`, each with its leading `;`.
    #[must_use]
    pub fn params(&self) -> &[u8] {
        self.part(usize::from(self.number_len) + usize::from(self.uri_len), self.params_len)
    }

    /// The way to the contact through proxies, as the values of a Route header (RFC 3327); empty if there are none.
    #[must_use]
    pub fn path(&self) -> &[u8] {
        self.part(self.path_at(), self.path_len)
    }

    /// Call-ID of the REGISTER that made or refreshed it last.
    #[must_use]
    pub fn call_id(&self) -> &[u8] {
        self.text.get(self.path_at() + usize::from(self.path_len)..).unwrap_or_default()
    }

    fn path_at(&self) -> usize {
        usize::from(self.number_len) + usize::from(self.uri_len) + usize::from(self.params_len)
    }

    /// The phone's `+sip.instance`, if it names one.
    #[must_use]
    pub fn instance(&self) -> Option<&[u8]> {
        // Most phones of one kind name none, and have no parameters at all.
        let params = Some(self.params()).filter(|params| !params.is_empty())?;
        contact::instance_of(&Params::parse(params).ok()?)
    }

    /// Which flow of the phone's instance it is (RFC 5626); 0: it is not one.
    #[must_use]
    pub const fn reg_id(&self) -> u32 {
        self.reg_id
    }

    /// CSeq number of that REGISTER.
    #[must_use]
    pub const fn cseq(&self) -> u32 {
        self.cseq
    }

    /// Preference in thousandths of `q`, 0 to 1000.
    #[must_use]
    pub const fn q(&self) -> u16 {
        self.q
    }

    /// When it ends unless it is refreshed.
    #[must_use]
    pub const fn expires(&self) -> Deadline {
        self.expires
    }

    /// When it was made or refreshed, ms since the Unix epoch.
    #[must_use]
    pub const fn updated_unix_ms(&self) -> u64 {
        self.updated_unix_ms
    }

    /// Where requests to this contact go.
    #[must_use]
    pub const fn flow(&self) -> Flow {
        self.flow
    }

    /// Where the REGISTER came from.
    #[must_use]
    pub fn source(&self) -> SocketAddr {
        self.source.as_deref().copied().unwrap_or(self.flow.remote)
    }

    /// Whether it may be called.
    #[must_use]
    pub const fn reachable(&self) -> bool {
        self.quarantine.is_none()
    }

    /// Why it is not called, and until when.
    #[must_use]
    pub fn quarantine(&self) -> Option<Quarantine> {
        self.quarantine.as_deref().copied()
    }

    /// Whether a request to it while it is in quarantine has a way: a closed connection is none.
    #[must_use]
    pub fn may_answer(&self) -> bool {
        self.quarantine.as_ref().is_none_or(|quarantine| quarantine.why != Ghost::ConnectionClosed)
    }

    /// Whether it is reached where its REGISTER came from, whatever its contact says.
    #[must_use]
    pub const fn nat(&self) -> bool {
        self.nat
    }

    /// When it is removed unless something happens before.
    pub(super) fn ends(&self) -> Deadline {
        self.quarantine.as_ref().map_or(self.expires, |quarantine| quarantine.until.min(self.expires))
    }

    /// Whether what came over `flow` came from this phone. What comes through a proxy may be anybody's.
    #[must_use]
    pub fn is_from(&self, flow: Flow) -> bool {
        if self.path_len != 0 {
            return false;
        }
        if self.flow.conn != 0 {
            return self.flow.conn == flow.conn;
        }
        self.flow.transport == flow.transport
            && (flow.remote == self.source() || flow.remote == self.flow.remote)
    }

    fn part(&self, at: usize, len: u16) -> &[u8] {
        self.text.get(at..at + usize::from(len)).unwrap_or_default()
    }
}

impl Record for Binding {
    const KIND: u8 = 1;

    fn encode(&self, out: &mut Writer<'_>) {
        out.bytes(&self.text);
        out.u16(self.number_len);
        out.u16(self.uri_len);
        out.u16(self.params_len);
        out.u16(self.path_len);
        out.u16(self.q);
        out.u32(self.cseq);
        out.u32(self.reg_id);
        out.deadline(self.expires);
        out.u64(self.updated_unix_ms);
        put_flow(out, self.flow);
        out.option(self.source.as_deref().copied(), put_address);
        out.bool(self.dialable);
        out.bool(self.nat);
        out.option(self.quarantine.as_deref().copied(), |out, quarantine| {
            out.u8(code_of(&Ghost::ALL, &quarantine.why));
            out.deadline(quarantine.until);
        });
    }

    fn read(fields: &mut Reader<'_>) -> Option<Self> {
        let mut binding = Self {
            text: fields.bytes()?.into(),
            number_len: fields.u16()?,
            uri_len: fields.u16()?,
            params_len: fields.u16()?,
            path_len: fields.u16()?,
            q: fields.u16()?,
            cseq: fields.u32()?,
            reg_id: fields.u32()?,
            expires: fields.deadline()?,
            updated_unix_ms: fields.u64()?,
            flow: flow(fields)?,
            source: fields.option(address)?.map(Box::new),
            dialable: fields.bool()?,
            nat: fields.bool()?,
            quarantine: fields.option(quarantine)?.map(Box::new),
        };
        let texts = [binding.number_len, binding.uri_len, binding.params_len, binding.path_len];
        let within = texts.into_iter().map(usize::from).sum::<usize>() <= binding.text.len();
        // A NUL would make every 200 that lists this contact unreadable.
        let printable = !binding.text.contains(&0);
        if !within || !printable || binding.q > 1000 || Uri::parse(binding.uri()).is_err() {
            return None;
        }
        binding.lose_connection(binding.expires);
        Some(binding)
    }

    fn deadline(&self) -> Option<Deadline> {
        Some(self.expires)
    }
}

fn quarantine(fields: &mut Reader<'_>) -> Option<Quarantine> {
    let why = *Ghost::ALL.get(usize::from(fields.u8()?))?;
    Some(Quarantine { why, until: fields.deadline()? })
}
