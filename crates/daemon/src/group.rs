//! What the member of a group asks of the program around it: its disk and its links to the other members.

use std::sync::Arc;

use bytes::Bytes;
use tandem_quorum::{Note, Output, Standing};
use tokio::sync::mpsc;

use crate::edges::disk::Disk;
use crate::edges::members::Links;

/// See the module.
pub struct Group {
    /// What it must not forget.
    pub disk: Disk,
    /// The other members; `None`: there are none.
    pub links: Option<Arc<Links>>,
    /// Where they find this member, if there are any.
    pub address: Option<String>,
    /// What they say.
    pub frames: mpsc::Receiver<Bytes>,
    /// What the member was last.
    pub standing: Option<Standing>,
}

/// Something to do with the group has come.
pub enum GroupNews {
    /// A frame of another member.
    Frame(Bytes),
    /// The disk has told something.
    Disk,
}

impl Group {
    /// What comes next.
    pub async fn news(&mut self) -> GroupNews {
        tokio::select! {
            // Who is heard in time decides who serves: heartbeats go first.
            biased;
            Some(frame) = self.frames.recv() => GroupNews::Frame(frame),
            () = self.disk.news() => GroupNews::Disk,
        }
    }

    /// Whether another member leads.
    pub fn follows(&self) -> bool {
        matches!(self.standing, Some(Standing::Follower { leader: Some(_), .. }))
    }

    /// Carries out what the member asks for. `group`: which it belongs to, with a roster.
    pub fn carry_out(&mut self, output: Output, group: Option<u64>) {
        match output {
            Output::Write(write) => self.disk.write(write),
            Output::Send { to, frame } => {
                if let Some(links) = &self.links {
                    links.send(to, frame);
                }
            }
            Output::Roster(roster) => {
                if let Some(links) = &self.links {
                    if let Some(group) = group.filter(|group| *group != 0) {
                        links.group(group);
                    }
                    links.roster(&roster);
                }
            }
            Output::Standing(standing) => {
                say_standing(standing, self.links.is_some());
                self.standing = Some(standing);
            }
            Output::Note(note) => say(&note),
            // Those stay within the server.
            Output::Committed { .. }
            | Output::Install(_)
            | Output::SnapshotWanted { .. }
            | Output::Serve { .. }
            | Output::StandDown { .. } => {}
        }
    }
}

fn say_standing(standing: Standing, others: bool) {
    match standing {
        Standing::Follower { epoch, leader: Some(leader) } => {
            tracing::info!(epoch, %leader, "group: another member leads");
        }
        Standing::Follower { leader: None, .. } | Standing::Candidate { .. } if others => {
            tracing::warn!("group: no leader is heard");
        }
        Standing::Leader { epoch } if others => tracing::info!(epoch, "group: this member leads"),
        Standing::Stopped => tracing::error!("group: this member takes no part; `tandem ha status` says why"),
        Standing::Follower { .. } | Standing::Candidate { .. } | Standing::Leader { .. } => {}
    }
}

fn say(note: &Note) {
    match note {
        Note::Voters(_)
        | Note::Restarted { .. }
        | Note::DiskAnswers
        | Note::SnapshotSent { .. }
        | Note::SnapshotReceived { .. } => tracing::info!("group: {note}"),
        Note::BadFrame(_)
        | Note::OtherGroup { .. }
        | Note::SlowDisk { .. }
        | Note::SnapshotFailed { .. }
        | Note::SnapshotTooLong { .. }
        | Note::SwitchoverFailed { .. }
        | Note::WitnessLeads
        | Note::ToldSuperseded { .. }
        | Note::LogTooShort { .. }
        | Note::Superseded { .. } => tracing::warn!("group: {note}"),
    }
}
