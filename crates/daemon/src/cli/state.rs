//! `tandem state`: what lies in a state directory, read without the server.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use clap::{Args, Subcommand};
use serde::Serialize;
use tandem_journal::{Recovered, inspect, is_held};
use tandem_quorum::{Kind, Record, Seat, Snapshot};

use super::{Exit, failed, misconfigured, say};
use crate::config::{self, Origin, Site};
use crate::edges::journal;
use crate::state;

pub const HELP: &str = "\
Reads only, and asks no server: a server may run there or not.

Examples:
  tandem state show --config /etc/tandem/site.toml
  tandem state show --directory /var/lib/tandem/site-a --json";

#[derive(Debug, Subcommand)]
pub enum State {
    /// What the journal in a state directory holds, and what is wrong with it
    #[command(after_help = "\
JOURNAL says whether the server could start from it: a write that a crash cut short is no damage, for nobody was told that it
was done. Exit code 1 when it is damaged, in use by nobody and unreadable, or of a later release; standard error says which file,
where, and what to do.")]
    Show(Show),
}

#[derive(Debug, Args)]
pub struct Show {
    #[command(flatten)]
    of: Of,
    /// Print it as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Of {
    /// Configuration of the server whose directory it is
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// A site of the built-in demonstration
    #[arg(long, value_name = "SITE")]
    demo: Option<Site>,
    /// The directory itself
    #[arg(long, value_name = "DIRECTORY")]
    directory: Option<PathBuf>,
}

/// What is found.
#[derive(Debug, Default, PartialEq, Serialize)]
struct Found {
    directory: PathBuf,
    /// A server runs there.
    in_use: bool,
    segments: usize,
    bytes: u64,
    /// Bytes of a write that a crash cut short.
    cut: u64,
    snapshot: Option<FoundSnapshot>,
    records: Records,
    /// Who the member is.
    member: Option<FoundMember>,
    /// The log's entries, without those that were replaced.
    entries: Entries,
    /// Why no server can start from it; `None` if one can.
    unusable: Option<String>,
}

#[derive(Debug, PartialEq, Serialize)]
struct FoundSnapshot {
    bytes: usize,
    /// The last entry that it holds.
    index: u64,
    term: u64,
    members: Vec<String>,
}

/// As they lie there, by kind; the first two are repeated in each segment.
#[derive(Debug, Default, PartialEq, Serialize)]
struct Records {
    identity: usize,
    hard_state: usize,
    entry: usize,
    installed: usize,
    /// Of a later release.
    unknown: usize,
}

#[derive(Debug, PartialEq, Serialize)]
struct FoundMember {
    id: u64,
    group: String,
    generation: u32,
    term: u64,
    vote: u64,
    committed: u64,
}

#[derive(Debug, Default, PartialEq, Serialize)]
struct Entries {
    first: u64,
    last: u64,
    bytes: usize,
}

/// Runs what the command line asks for.
pub fn run(state: State) -> Exit {
    let State::Show(Show { of, json }) = state;
    let directory = match of.directory() {
        Ok(directory) => directory,
        Err(exit) => return exit,
    };
    let recovered = match inspect(&directory) {
        Ok(recovered) => recovered,
        Err(error) => return failed(&error.to_string()),
    };
    let found = look(&directory, recovered);
    if json {
        match serde_json::to_string_pretty(&found) {
            Ok(text) => say(&format!("{text}\n")),
            Err(error) => return failed(&error.to_string()),
        }
    } else {
        say(&text(&found));
    }
    if found.unusable.is_none() { Exit::Done } else { Exit::Failed }
}

impl Of {
    fn directory(self) -> Result<PathBuf, Exit> {
        if let Some(directory) = self.directory {
            return Ok(directory);
        }
        let origin =
            self.config.map(Origin::File).or_else(|| self.demo.map(Origin::Demo)).ok_or(Exit::Failed)?;
        let config = config::load(&origin, [0; 32]).map_err(|error| misconfigured(&error))?;
        let configured = config.settings.ha.state_directory.as_deref();
        state::directory(configured, &config.directory.server.name)
            .map_err(|error| failed(&error.to_string()))
    }
}

fn look(directory: &Path, recovered: Recovered) -> Found {
    let mut found = Found {
        directory: directory.to_owned(),
        in_use: is_held(directory),
        segments: recovered.segments,
        bytes: recovered.bytes,
        cut: recovered.cut.map_or(0, |cut| cut.bytes),
        ..Found::default()
    };
    found.snapshot = recovered.snapshot.clone().and_then(snapshot);
    for bytes in &recovered.records {
        let counter = match Record::decode(bytes.clone()) {
            Some(Record::Identity(_)) => &mut found.records.identity,
            Some(Record::Hard(_)) => &mut found.records.hard_state,
            Some(Record::Entry(_)) => &mut found.records.entry,
            Some(Record::Installed { .. }) => &mut found.records.installed,
            None => &mut found.records.unknown,
        };
        *counter += 1;
    }
    match journal::persisted(recovered) {
        Ok(None) => {}
        Ok(Some(persisted)) => {
            let entries = &persisted.entries;
            found.entries = Entries {
                first: entries.first().map_or(0, |entry| entry.index),
                last: entries.last().map_or(0, |entry| entry.index),
                bytes: entries.iter().map(|entry| entry.data.len()).sum(),
            };
            let (identity, hard) = (&persisted.identity, persisted.hard);
            found.member = Some(FoundMember {
                id: identity.id.0,
                group: format!("{:016x}", identity.group),
                generation: identity.generation,
                term: hard.term,
                vote: hard.vote,
                committed: hard.commit,
            });
        }
        Err(why) => found.unusable = Some(why.to_string()),
    }
    found
}

fn snapshot(bytes: Bytes) -> Option<FoundSnapshot> {
    let snapshot = Snapshot::decode(bytes)?;
    let members = snapshot.base.roster.members().iter().map(|member| {
        let kind = match member.kind {
            Kind::Server => "server",
            Kind::Witness => "witness",
        };
        let seat = match member.seat {
            Seat::Voter => "votes",
            Seat::Learner => "learns",
        };
        format!("{} {kind} {seat} {}", member.id, member.address).trim_end().to_owned()
    });
    let members = members.collect();
    let base = &snapshot.base;
    Some(FoundSnapshot { bytes: snapshot.data.len(), index: base.index, term: base.term, members })
}

fn text(found: &Found) -> String {
    let mut out = String::new();
    let mut line = |key: &str, value: String| {
        let _ = writeln!(out, "{key:<12}{value}");
    };
    let used = if found.in_use { " (a server runs there)" } else { "" };
    line("directory", format!("{}{used}", found.directory.display()));
    let state = match (&found.unusable, found.cut, found.segments) {
        (Some(why), ..) => why.clone(),
        (None, _, 0) => "none".to_owned(),
        (None, 0, _) => "fine".to_owned(),
        (None, cut, _) => format!("fine; ends with {cut} bytes of a write that was never reported done"),
    };
    line("journal", format!("{state}; {} segments, {} bytes", found.segments, found.bytes));
    match &found.snapshot {
        Some(snapshot) => {
            let FoundSnapshot { bytes, index, term, .. } = snapshot;
            line("snapshot", format!("{bytes} bytes, up to entry {index} of term {term}"));
        }
        None => line("snapshot", "none".to_owned()),
    }
    if let Some(member) = &found.member {
        let FoundMember { id, group, generation, term, vote, committed } = member;
        line("member", format!("{id} of group {group}, generation {generation}"));
        let vote = if *vote == 0 { "voted for nobody".to_owned() } else { format!("voted for {vote}") };
        line("term", format!("{term}, {vote}; agreed on up to entry {committed}"));
        let Entries { first, last, bytes } = found.entries;
        let entries = if last == 0 { "none".to_owned() } else { format!("{first} to {last}, {bytes} bytes") };
        line("entries", entries);
    }
    let Records { identity, hard_state, entry, installed, unknown } = found.records;
    line(
        "records",
        format!(
            "{entry} entries, {hard_state} hard states, {identity} identities, {installed} installed snapshots, \
             {unknown} unknown"
        ),
    );
    for member in found.snapshot.iter().flat_map(|snapshot| &snapshot.members) {
        line("belongs", member.clone());
    }
    out
}

#[cfg(test)]
mod tests {
    use tandem_journal::{Batch, Journal};
    use tandem_quorum::{MemberId, MemberInfo, Persisted};

    use super::*;

    fn shown(folder: &Path) -> Found {
        look(folder, inspect(folder).unwrap())
    }

    #[test]
    fn a_directory_in_use_is_shown_with_what_its_member_knows() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(shown(folder.path()).member, None, "an empty directory is no fault");
        let me = MemberInfo {
            id: MemberId(1),
            kind: Kind::Server,
            seat: Seat::Voter,
            address: "192.0.2.1".into(),
        };
        let persisted = Persisted::found(7, me);
        let (tell, told) = std::sync::mpsc::channel();
        let (journal, _) = Journal::open(folder.path(), move |progress| drop(tell.send(progress))).unwrap();
        let records = [Record::Identity(persisted.identity.clone()), Record::Hard(persisted.hard)];
        let batch = Batch {
            token: 1,
            fresh: true,
            snapshot: Some(persisted.snapshot.encode().into()),
            records: records.iter().map(journal::record).collect(),
            ..Batch::default()
        };
        journal.append(batch).unwrap();
        told.recv().unwrap();
        let found = shown(folder.path());
        assert!(found.in_use);
        let member = found.member.as_ref().unwrap();
        assert_eq!((member.id, &*member.group, member.term), (1, "0000000000000007", 1));
        assert_eq!(found.snapshot.as_ref().unwrap().members, ["1 server votes 192.0.2.1"]);
        let text = text(&found);
        assert!(text.contains("(a server runs there)\njournal     fine; 1 segments"), "{text}");
        assert!(
            text.contains("term        1, voted for nobody; agreed on up to entry 1\nentries     none\n"),
            "{text}"
        );
        drop(journal);
        assert!(!shown(folder.path()).in_use);
    }

    #[test]
    fn what_makes_no_member_says_why() {
        let folder = tempfile::tempdir().unwrap();
        let (journal, _) = Journal::open(folder.path(), |_| ()).unwrap();
        let record =
            tandem_journal::Record { keep: tandem_journal::Keep::Loose, bytes: Bytes::from_static(b"\xff") };
        journal.append(Batch { token: 1, records: vec![record], ..Batch::default() }).unwrap();
        drop(journal);
        let found = shown(folder.path());
        assert_eq!(found.records.unknown, 1);
        assert!(found.unusable.unwrap().contains("later release"));
    }
}
