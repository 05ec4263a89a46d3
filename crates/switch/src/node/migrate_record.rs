//! What is stored of a graceful migration, so that whoever serves after this process goes on with it.

use std::sync::Arc;

use tandem_peer::replica::{Reader, Record, Writer};

/// How a migration stands. There is one at most.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Migrating {
    /// The other site, as people call it.
    pub to: Box<str>,
    /// Who asked last.
    pub by: Box<str>,
    /// When it began, ms since the Unix epoch.
    pub since_unix_ms: u64,
    /// The agent group that is meant; `None`: the whole site.
    pub group: Option<Arc<str>>,
    /// Percentages: where it goes, and so many more or fewer at once.
    pub target: u8,
    pub step: u8,
    /// The time between steps, ms.
    pub every_ms: u64,
    pub paused: bool,
    /// Percentage in force.
    pub percent: u8,
}

impl Record for Migrating {
    const KIND: u8 = 11;

    fn encode(&self, out: &mut Writer<'_>) {
        out.str(&self.to);
        out.str(&self.by);
        out.u64(self.since_unix_ms);
        out.option(self.group.as_deref(), Writer::str);
        out.u8(self.target);
        out.u8(self.step);
        out.u64(self.every_ms);
        out.bool(self.paused);
        out.u8(self.percent);
    }

    fn read(fields: &mut Reader<'_>) -> Option<Self> {
        Some(Self {
            to: fields.str()?.into(),
            by: fields.str()?.into(),
            since_unix_ms: fields.u64()?,
            group: fields.option(|fields| fields.str().map(Arc::from))?,
            target: fields.u8()?,
            step: fields.u8()?,
            every_ms: fields.u64()?,
            paused: fields.bool()?,
            percent: fields.u8()?,
        })
    }
}

/// An agent whom a migration logged out: he is sent to the other site when he comes back. One record each, in the order of
/// their numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Moved {
    pub agent_id: Arc<str>,
}

impl Record for Moved {
    const KIND: u8 = 12;

    fn encode(&self, out: &mut Writer<'_>) {
        out.str(&self.agent_id);
    }

    fn read(fields: &mut Reader<'_>) -> Option<Self> {
        Some(Self { agent_id: fields.str()?.into() })
    }
}
