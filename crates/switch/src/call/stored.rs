//! The record of an answered call: what survives this process. Far ends are stored by name, so that a record can be read
//! under any later configuration.

use std::sync::Arc;

use tandem_peer::replica::{Reader, Record, Writer};
use tandem_sip::Dialog;

use super::hold::Hold;
use super::leg::Leg;
use super::life::{Life, device_code, device_of};
use super::session::Session;
use super::session_id::SessionIds;
use super::talk::Talk;
use super::timer::Timer;
use crate::directory::Directory;
use crate::rooms::Device;
use crate::stored::{flow, put_flow, put_wide, wide};

impl Record for Talk {
    const KIND: u8 = 2;
    /// 2: whose account the call is on. 3: who waits to hear how his transfer ends.
    const VERSION: u8 = 3;

    fn encode(&self, out: &mut Writer<'_>) {
        put_wide(out, self.uuid);
        out.bytes(&self.from);
        out.bytes(&self.to);
        out.u64(self.started_unix_ms);
        out.u64(self.answered_unix_ms);
        for leg in &self.legs {
            leg.encode(out);
        }
        self.life.encode(out);
    }

    fn read(fields: &mut Reader<'_>) -> Option<Self> {
        let talk = Self {
            uuid: wide(fields)?,
            from: fields.bytes()?.into(),
            to: fields.bytes()?.into(),
            started_unix_ms: fields.u64()?,
            answered_unix_ms: fields.u64()?,
            legs: [Leg::decode(fields)?, Leg::decode(fields)?],
            life: Life::read(fields)?,
        };
        Some(talk)
    }
}

impl Leg {
    /// Finds the far end of a leg that was read from a record. False: the configuration has none of this name.
    pub fn resolve(&mut self, directory: &Directory) -> bool {
        let name = self.name.as_deref().unwrap_or_default();
        let found = match self.device {
            Device::Extension(_) => directory.find(name.as_bytes()).map(Device::Extension),
            Device::Trunk(_) => directory.trunk_named(name).map(Device::Trunk),
            Device::Mixer => {
                directory.floor().mixer.as_ref().filter(|mixer| &*mixer.name == name).map(|_| Device::Mixer)
            }
        };
        self.device = found.unwrap_or(self.device);
        found.is_some()
    }

    pub(crate) fn encode(&self, out: &mut Writer<'_>) {
        out.bytes(&self.dialog.encode());
        put_flow(out, self.flow);
        out.u8(device_code(self.device));
        out.str(self.name.as_deref().unwrap_or_default());
        out.u8(self.no);
        out.bool(self.nat);
        out.u8(self.holds as u8);
        put_wide(out, self.session_ids.party);
        put_wide(out, self.session_ids.other);
        out.option(self.session, |out, session| {
            out.u64(session.id);
            out.u64(session.version);
        });
        self.timer.encode(out);
    }

    pub(crate) fn decode(fields: &mut Reader<'_>) -> Option<Self> {
        let dialog = Dialog::decode(fields.bytes()?)?;
        let flow = flow(fields)?;
        let device = device_of(fields.u8()?)?;
        let name = Some(fields.str()?).filter(|name| !name.is_empty()).map(Arc::from);
        Some(Self {
            dialog,
            flow,
            device,
            name,
            no: fields.u8()?,
            nat: fields.bool()?,
            holds: Hold::read(fields.u8()?)?,
            session_ids: SessionIds { party: wide(fields)?, other: wide(fields)? },
            session: fields.option(|fields| Some(Session { id: fields.u64()?, version: fields.u64()? }))?,
            timer: Timer::read(fields)?,
            nailed: None,
            authorization: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use tandem_peer::Replicated;
    use tandem_peer::replica::{Change, ChangeLog, Op};
    use tandem_sip::{Flow, Message, Transport};

    use super::*;
    use crate::directory::DnId;

    fn leg(device: Device, name: &str) -> Leg {
        let text = "INVITE sip:2@h SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:1@h>;tag=a\r\nTo: <sip:2@h>\r\n\
                    Call-ID: c\r\nCSeq: 1 INVITE\r\nContact: <sip:1@10.0.0.9:5070>\r\nContent-Length: 0\r\n\r\n";
        let invite = Message::parse(Bytes::from_static(text.as_bytes())).unwrap();
        let dialog = Dialog::uas(&invite, &invite.envelope().unwrap(), b"b").unwrap();
        let remote = "10.0.0.9:5070".parse().unwrap();
        let mut leg =
            Leg::new(dialog, Flow { transport: Transport::Tcp, local: 1, remote, conn: 7 }, device, true);
        (leg.name, leg.no, leg.holds) = (Some(name.into()), 3, Hold::Request);
        leg.session = Some(Session { id: 5, version: 9 });
        leg
    }

    fn change() -> Change {
        let talk = Talk {
            uuid: 77,
            from: b"1"[..].into(),
            to: b"2"[..].into(),
            started_unix_ms: 1,
            answered_unix_ms: 2,
            legs: [leg(Device::Extension(DnId(4)), "1001"), leg(Device::Mixer, "mixer")],
            life: super::super::life::tests::life(),
        };
        stored(talk)
    }

    fn stored(talk: Talk) -> Change {
        let mut log = ChangeLog::new(0, 1);
        let _ = Replicated::create(1, talk, &mut log);
        log.take_batch().unwrap().changes().next().unwrap()
    }

    fn bytes(change: &Change) -> Bytes {
        let Op::Put(bytes) = &change.op else { panic!("a record") };
        bytes.clone()
    }

    #[test]
    fn a_record_gives_back_all_but_places_in_the_directory() {
        let back = Talk::decode(&bytes(&change())).unwrap();
        let [one, two] = &back.legs;
        assert_eq!((one.device, one.name.as_deref()), (Device::Extension(DnId(u32::MAX)), Some("1001")));
        assert_eq!(back.life, super::super::life::tests::life());
        assert_eq!((two.device, two.name.as_deref()), (Device::Mixer, Some("mixer")));
        assert_eq!((one.no, one.nat, one.holds), (3, true, Hold::Request));
        assert_eq!(one.session, Some(Session { id: 5, version: 9 }));
        assert_eq!((one.flow.conn, one.dialog.remote_tag()), (crate::stored::GONE, &b"a"[..]));
        assert_eq!(bytes(&stored(back)), bytes(&change()));
    }

    #[test]
    fn a_damaged_record_is_refused_or_read_but_never_more_than_it_is() {
        let whole = bytes(&change()).to_vec();
        for end in 0..whole.len() {
            assert!(Talk::decode(whole.get(..end).unwrap()).is_none(), "cut at {end}");
        }
        for place in 0..whole.len() {
            let mut damaged = whole.clone();
            if let Some(byte) = damaged.get_mut(place) {
                *byte ^= 0x55;
            }
            let _ = Talk::decode(&damaged);
        }
        let longer: Vec<u8> = whole.iter().copied().chain([0]).collect();
        assert!(Talk::decode(&longer).is_none());
    }
}
