//! A server, or a witness, as a member of its site's group: what it starts with, and how it finds the others.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use tandem_ha::Server;
use tandem_journal::Condition;
use tandem_quorum::{
    self as quorum, Kind, Member, MemberId, MemberInfo, Output, Persisted, Seat, Settings, Status,
};
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use crate::config::{Durability, HaSettings, MemberSettings, PairSettings, Role};
use crate::edges::disk::Disk;
use crate::edges::journal::JournalEdge;
use crate::edges::members::{Introduction, LinkSettings, Links, Summary};
use crate::group::Group;
use crate::limits::MAX_FRAMES;
use crate::run::now;
use crate::serve::random;
use crate::state;

/// What a member of this kind starts with, at the given place in the order of those who stand for election.
fn settings_of(kind: Kind, rank: u8, durability: Durability) -> Result<Settings> {
    let durability = match durability {
        Durability::Committed => quorum::Durability::Committed,
        Durability::Eager | Durability::None => quorum::Durability::Eager,
    };
    Ok(Settings { durability, ..Settings::new(kind, rank, number()?) })
}

/// What the member of a server starts with.
///
/// # Errors
/// There is no randomness.
pub fn settings(ha: &HaSettings) -> Result<Settings> {
    match &ha.pair {
        Some(PairSettings { role: Role::Primary, .. }) => settings_of(Kind::Server, 0, ha.durability),
        Some(PairSettings { role: Role::Backup, .. }) => settings_of(Kind::Server, 1, ha.durability),
        None => settings_of(Kind::Server, 0, ha.durability),
    }
}

/// What the member of a witness starts with.
///
/// # Errors
/// There is no randomness.
pub fn witness_settings() -> Result<Settings> {
    settings_of(Kind::Witness, 2, Durability::Committed)
}

/// A number that is no other's.
fn number() -> Result<u64> {
    let [a, b, c, d, e, f, g, h, ..] = random().context("no randomness from /dev/urandom")?;
    Ok(u64::from_le_bytes([a, b, c, d, e, f, g, h]).max(1))
}

/// What a member is called in listings: both servers of a site have the same name as servers.
pub fn name(pair: Option<&PairSettings>, server: &str) -> String {
    let Some(pair) = pair else { return server.to_owned() };
    let host = || {
        nix::unistd::gethostname()
            .map_or_else(|_| server.to_owned(), |host| host.to_string_lossy().into_owned())
    };
    pair.name.clone().unwrap_or_else(host)
}

/// What a server's disk had, and the disk. One of several that has nothing waits to be added to the group; one that is alone
/// is a group of its own.
///
/// # Errors
/// Why the state directory cannot be used.
pub fn recall(ha: &HaSettings, name: &str) -> Result<(Disk, Persisted)> {
    let (journal, found) = match ha.durability {
        Durability::None => (JournalEdge::in_memory(), None),
        Durability::Committed | Durability::Eager => {
            JournalEdge::open(&state::directory(ha.state_directory.as_deref(), name)?)?
        }
    };
    let (disk, fresh) = match ha.pair {
        None => (Disk::new(journal), Persisted::found(number()?, myself(MemberId(1), String::new()))),
        Some(_) => (Disk::of_member(journal), Persisted::join(MemberId(number()?))),
    };
    let persisted = found.unwrap_or(fresh);
    Ok((disk, persisted))
}

/// What a witness's disk had, and the disk.
///
/// # Errors
/// Why the state directory cannot be used.
pub fn recall_witness(state_directory: Option<&Path>, name: &str) -> Result<(Disk, Persisted)> {
    let (journal, found) = JournalEdge::open(&state::directory(state_directory, name)?)?;
    let persisted = found.map_or_else(|| Ok::<_, anyhow::Error>(Persisted::join(MemberId(number()?))), Ok)?;
    Ok((Disk::of_member(journal), persisted))
}

fn myself(id: MemberId, address: String) -> MemberInfo {
    MemberInfo { id, kind: Kind::Server, seat: Seat::Voter, address }
}

/// Begins the group of a new site in an empty state directory, with this server as its only member. Says its name.
///
/// # Errors
/// There is a group already, or the directory cannot be used.
pub fn found(ha: &HaSettings, pair: &PairSettings, name: &str) -> Result<MemberId> {
    let directory = state::directory(ha.state_directory.as_deref(), name)?;
    let (journal, before) = JournalEdge::open(&directory)?;
    if let Some(before) = before {
        bail!(
            "{} holds member {} of a group already. To begin a new one, move the directory away: all that it holds is lost \
             to the site then",
            directory.display(),
            before.identity.id
        );
    }
    let me = myself(MemberId(number()?), pair.member.address.clone());
    let id = me.id;
    let mut member = Member::start(settings(ha)?, Persisted::found(number()?, me), Instant::now())?;
    let mut told = journal.told();
    let mut last = 0;
    while let Some(output) = member.poll_output() {
        if let Output::Write(write) = output {
            last = write.token;
            journal.write(&write).map_err(|refused| refused.why)?;
        }
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let stored = runtime.block_on(
        told.wait_for(|told| told.stored >= last || matches!(told.condition, Condition::Failed(_))),
    );
    if let Condition::Failed(why) = &stored.context("the journal ended")?.condition {
        bail!("{}: {why}", directory.display());
    }
    Ok(id)
}

/// How a member that is one of several says who it is.
pub struct Myself {
    /// Its name in listings.
    pub name: String,
    /// What it is for.
    pub kind: Kind,
    /// What is compared with the others; nothing of a witness.
    pub summary: Option<Summary>,
}

/// What a member speaks through: its disk and, if it is one of several, links to the others.
///
/// # Errors
/// The links cannot be opened; or the state directory is that of one of several, and nothing says where the others are.
pub fn join(
    edges: &Handle,
    me: Myself,
    member: Option<&MemberSettings>,
    (server, disk): (&Server, Disk),
) -> Result<Group> {
    let (sender, frames) = mpsc::channel(MAX_FRAMES);
    let Status { id, group, members, .. } = server.status(now());
    let links = match member {
        None if members.len() > 1 => bail!(
            "the state directory is that of one of {} members, and no member-listen is configured: this one cannot serve \
             without the others' consent. Configure it as before; or `tandem ha remove` the others first",
            members.len()
        ),
        None => None,
        Some(member) => {
            let settings = LinkSettings {
                listen: member.listen,
                advertise: member.address.clone(),
                certificate: member.certificate.clone(),
                key: member.key.clone(),
                ca: member.ca.clone(),
            };
            let (version, address) = (env!("CARGO_PKG_VERSION").to_owned(), member.address.clone());
            let said = Introduction { id, kind: me.kind, group, name: me.name, version, address };
            Some(Links::start(edges, &settings, said, me.summary, sender)?)
        }
    };
    let address = member.map(|member| member.address.clone());
    Ok(Group { disk, links, address, frames, standing: None })
}
