//! OPTIONS probes of trunks and devices, and what follows when one is lost or comes back.

use std::net::SocketAddr;
use std::sync::Arc;

use tandem_peer::audit::{AuditOptions, AuditRound};
use tandem_peer::trunk::ProbeId;
use tandem_sip::locate::{Candidate, Wanted};
use tandem_sip::{Builder, Flow, HeaderName, Method};

use super::Node;
use crate::limits::AUDITS_PER_SECOND;
use crate::rooms::{Device, Rooms, Use};
use crate::trunks::{Consequence, TargetNo, event_of};

impl Node {
    pub(super) fn run_devices(&mut self) {
        let mut told = Vec::new();
        self.rooms.trunks.handle_timeout(self.rooms.now, &mut told);
        for (device, consequence) in told {
            self.act(device, Some(consequence));
        }
    }

    /// A name has been located, or looked for in vain.
    pub(super) fn located(&mut self, wanted: &Wanted, found: &[Candidate]) {
        let directory = Arc::clone(&self.rooms.directory);
        for (id, told) in self.rooms.trunks.located(&directory, wanted, found, self.rooms.now) {
            self.act(Device::Trunk(id), Some(told));
        }
    }

    /// Carries out what a device's state machine asks for.
    pub(super) fn act(&mut self, device: Device, consequence: Option<Consequence>) {
        let Some(consequence) = consequence else { return };
        let name = Rooms::name_of(&self.rooms.directory, device).to_owned();
        self.rooms.facts.extend(event_of(&name, consequence));
        let lost = match consequence {
            Consequence::Probe { target, probe, max_forwards } => {
                self.audit_again(device);
                let failed = self.probe(device, target, probe, max_forwards);
                return self.act(device, failed);
            }
            Consequence::TargetBack(..) => return,
            Consequence::TargetOut(target, _) => {
                return self.calls_leave(device, &name, Some(target.addr));
            }
            Consequence::Out(_) => true,
            Consequence::Back(_) => false,
        };
        if lost {
            self.calls_leave(device, &name, None);
        }
        let is_peer =
            matches!(device, Device::Trunk(id) if self.rooms.directory.options.dr_peer_trunk == Some(id));
        if is_peer {
            self.mode_may_have_changed();
            if lost {
                self.audit_trunk(&name);
            }
        }
    }

    /// Calls that were offered to a lost trunk, or to this target of it, are tried elsewhere if nothing was heard of them.
    fn calls_leave(&mut self, device: Device, name: &str, target: Option<SocketAddr>) {
        if matches!(device, Device::Trunk(_)) {
            for key in self.calls.keys() {
                self.call(key, |call, rooms| call.trunk_lost(rooms, name, target));
            }
        }
    }

    /// Sends OPTIONS; where that cannot be done, says so to the state machine.
    fn probe(
        &mut self,
        device: Device,
        target: TargetNo,
        probe: ProbeId,
        max_forwards: u8,
    ) -> Option<Consequence> {
        let sent = self.probe_target(device, target).and_then(|(uri, flow)| {
            let (txn, branch) = self.rooms.endpoint.reserve()?;
            let payload = print_probe(&mut self.rooms, &uri, flow, branch.as_ref(), max_forwards);
            let now = self.rooms.now.mono;
            if let Some(older) = self.rooms.trunks.probing(device, target, txn) {
                self.rooms.endpoint.abandon(older);
            }
            let user = Use::Probe(device, target, probe);
            self.rooms.endpoint.start(txn, Method::Options, flow, payload, user, now);
            Some(())
        });
        match sent {
            Some(()) => None,
            None => self.rooms.trunks.probe_failed(device, target, probe, self.rooms.now),
        }
    }

    fn probe_target(&self, device: Device, target: TargetNo) -> Option<(Box<str>, Flow)> {
        let directory = &self.rooms.directory;
        match device {
            Device::Trunk(id) => {
                let at = self.rooms.trunks.target_at(id, target)?;
                Some((directory.trunk(id)?.contact.uri.clone(), self.rooms.flow_to(at.transport, at.addr)))
            }
            Device::Extension(id) => {
                let extension = directory.extension(id)?;
                let contact = extension.class.contact.as_ref()?;
                let uri = contact.uri.replace("{number}", &extension.number).into();
                Some((uri, self.rooms.flow_to(contact.transport, contact.addr?)))
            }
            Device::Mixer => None,
        }
    }

    /// While the peer trunk stays lost, the legs over it are asked anew with each probe, and what still rings there is given
    /// up when it stays silent.
    fn audit_again(&mut self, device: Device) {
        let Device::Trunk(id) = device else { return };
        if self.rooms.directory.options.dr_peer_trunk == Some(id) && !self.rooms.trunks.in_service(id) {
            let name = Rooms::name_of(&self.rooms.directory, device).to_owned();
            self.audit_trunk(&name);
            if self.stays_silent(device) {
                for key in self.calls.keys() {
                    self.call(key, |call, rooms| call.trunk_stays_silent(rooms, &name));
                }
            }
        }
    }

    /// Whether nothing has been heard of a lost device for as long as an audited leg may be silent: what rings behind it
    /// rings for nobody. One that answers, if only that it is being drained, is alive, and so is what rings there.
    fn stays_silent(&self, device: Device) -> bool {
        let patience = self.rooms.directory.options.dialog_audit_timeout;
        self.rooms.trunks.health(device).is_some_and(|health| {
            health.reason().is_silence() && self.rooms.now.mono >= health.since() + patience
        })
    }

    /// Legs over a lost peer trunk are asked whether they live; nothing else ends them (BCA-08, BCA-09).
    fn audit_trunk(&mut self, trunk: &str) {
        self.audit_legs(|device, name| matches!(device, Device::Trunk(_)) && name == trunk);
    }

    /// What ended at the other site while nobody was here is not told of again: the legs there are asked.
    pub(super) fn audit_peer(&mut self) {
        if let Some(id) = self.rooms.directory.options.dr_peer_trunk {
            let name = Rooms::name_of(&self.rooms.directory, Device::Trunk(id)).to_owned();
            self.audit_trunk(&name);
        }
    }

    /// Answered legs to such devices are asked, in their turn, whether they live.
    pub(super) fn audit_legs(&mut self, over: impl Fn(Device, &str) -> bool) {
        let patience = self.rooms.directory.options.dialog_audit_timeout.as_secs();
        let no_answer_s = u32::try_from(patience).unwrap_or(u32::MAX);
        let round =
            AuditRound::new(AuditOptions { no_answer_s, per_second: AUDITS_PER_SECOND }, self.rooms.now.mono);
        let mut place = 0;
        for key in self.calls.keys() {
            self.call(key, |call, rooms| call.audit(rooms, &over, &round, &mut place));
        }
    }
}

fn print_probe(rooms: &mut Rooms, uri: &str, flow: Flow, branch: &[u8], max_forwards: u8) -> bytes::Bytes {
    let (tag, call_id) = (rooms.ids.tag().text(), rooms.ids.call_id().text());
    let lines = &rooms.lines;
    let sent_by = lines.sent_by.as_bytes();
    let mut builder = Builder::request(&mut rooms.scratch, b"OPTIONS", uri.as_bytes());
    builder
        .via(flow.transport, lines.via(flow), branch)
        .number(HeaderName::MaxForwards, u64::from(max_forwards))
        .parts(HeaderName::From, &[b"<sip:", sent_by, b">;tag=", &tag])
        .parts(HeaderName::To, &[b"<", uri.as_bytes(), b">"])
        .header(HeaderName::CallId, &call_id)
        .cseq(1, b"OPTIONS")
        .header(HeaderName::Contact, lines.contact(flow))
        .header(HeaderName::Accept, b"application/sdp");
    builder.finish(b"")
}
