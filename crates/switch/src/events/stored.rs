//! What is stored of subscriptions, and of mailboxes, so that lamps go on after a restart or a takeover.
//!
//! A subscription is stored at each SUBSCRIBE, not at each NOTIFY: numbers of requests and documents go on so far above what
//! is stored that no NOTIFY of the process before can have had them.

use std::sync::Arc;

use bytes::Bytes;
use tandem_peer::replica::{Reader, Record, Writer};

use super::package::{EventType, Package};
use crate::call::Leg;
use crate::time::Deadline;

/// What is stored of a subscription.
#[derive(Debug)]
pub(super) struct Watching {
    pub event: EventType,
    pub watched: Arc<str>,
    pub entity: Box<[u8]>,
    pub watcher: Arc<str>,
    pub leg: Leg,
    pub version: u32,
    pub until: Deadline,
}

/// A record of it. In memory it is empty once it is written: the subscription has all of it.
#[derive(Debug)]
pub(crate) struct Kept(pub(super) Option<Box<Watching>>);

impl Record for Kept {
    const KIND: u8 = 13;

    fn encode(&self, out: &mut Writer<'_>) {
        let Some(watching) = &self.0 else { return };
        out.u8(match watching.event.package {
            Package::Dialog => 0,
            Package::Reg => 1,
            Package::MessageSummary => 2,
        });
        out.option(watching.event.id.as_deref(), Writer::bytes);
        out.str(&watching.watched);
        out.bytes(&watching.entity);
        out.str(&watching.watcher);
        watching.leg.encode(out);
        out.u32(watching.version);
        out.deadline(watching.until);
    }

    fn read(fields: &mut Reader<'_>) -> Option<Self> {
        let package = match fields.u8()? {
            0 => Package::Dialog,
            1 => Package::Reg,
            2 => Package::MessageSummary,
            _ => return None,
        };
        let id = fields.option(|fields| fields.bytes().map(Box::from))?;
        Some(Self(Some(Box::new(Watching {
            event: EventType { package, id },
            watched: fields.str()?.into(),
            entity: fields.bytes()?.into(),
            watcher: fields.str()?.into(),
            leg: Leg::decode(fields)?,
            version: fields.u32()?,
            until: fields.deadline()?,
        }))))
    }
}

/// What a mailbox said last.
#[derive(Debug)]
pub(super) struct Said {
    /// Number of its Extension.
    pub number: Arc<str>,
    pub summary: Bytes,
}

/// The kind of the records of mailboxes.
pub(crate) const MAILBOX_KIND: u8 = 14;

impl Record for Said {
    const KIND: u8 = MAILBOX_KIND;

    fn encode(&self, out: &mut Writer<'_>) {
        out.str(&self.number);
        out.bytes(&self.summary);
    }

    fn read(fields: &mut Reader<'_>) -> Option<Self> {
        Some(Self { number: fields.str()?.into(), summary: Bytes::copy_from_slice(fields.bytes()?) })
    }
}
