//! A site that is a pair: a primary, a backup and a witness with their disks and the links between them, behind one address.
//!
//! The servers are the real ones ([`tandem_ha::Server`]). The address is where a server has claimed it last and not let go of
//! it, as gratuitous ARP makes it. Whatever leaves is looked at: nothing leaves without a lease, nor after somebody of a
//! later epoch has spoken.

pub mod links;
mod machine;
pub mod scene;

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tandem_ha as ha;
use tandem_quorum::{self as quorum, Change, Kind, MemberId, Persisted, Refused};
use tandem_switch::{self as switch, Directory, Node, Now, Restored};

use crate::dice::Dice;
use crate::queue::Queue;
use crate::time::{At, ms};
use crate::wire::Packet;

use links::Links;
use machine::{Machine, info, place_of};

/// The first server, which serves at the start.
pub const PRIMARY: usize = 0;
/// The other one.
pub const BACKUP: usize = 1;
/// Who only votes.
pub const WITNESS: usize = 2;

/// The group's number.
const GROUP: u64 = 7;

/// Something that will happen within the pair.
#[derive(Debug)]
enum Inner {
    Frame { from: usize, to: usize, bytes: Bytes },
    Written { machine: usize, life: u64 },
    Waited { machine: usize, life: u64, input: quorum::Input },
}

/// What a pair asks for.
#[derive(Debug)]
pub enum Heard {
    /// Its server's.
    Node(switch::Output),
    /// Something about the pair itself.
    News(News),
}

/// What becomes of a pair.
#[derive(Debug)]
pub enum News {
    /// A server serves from now on, and has the address.
    Serves {
        /// Which.
        machine: usize,
        /// In which epoch.
        epoch: u32,
        /// What it had.
        restored: Restored,
    },
    /// It serves no more, and has let go of the address.
    Stopped {
        /// Which.
        machine: usize,
        /// False: it rests, and may go on.
        for_good: bool,
        /// Why.
        why: String,
    },
    /// It goes on where it rested.
    Resumed {
        /// Which.
        machine: usize,
    },
    /// Something that never should be.
    Wrong(String),
}

/// See the module.
#[derive(Debug)]
pub struct Pair {
    /// Between the members.
    pub links: Links,
    machines: Vec<Machine>,
    coming: Queue<Inner>,
    /// Where the address is.
    holder: Option<usize>,
    formed: bool,
    directory: Arc<Directory>,
    dice: Dice,
    /// Who spoke last, and in which epoch.
    spoke: Option<(u32, usize)>,
    news: std::collections::VecDeque<News>,
    /// How often a server has begun to serve.
    pub promotions: u32,
    /// How much later than usual its answers may come, for what is done to it.
    pub patience: Duration,
}

impl Pair {
    /// Three machines whose processes start now. The first founds the group and takes the others in.
    #[must_use]
    pub fn new(directory: Arc<Directory>, seed: u64, site: &str, now: Now) -> Self {
        let kinds = [Kind::Server, Kind::Server, Kind::Witness];
        let machines = (0..).zip(kinds).map(|(place, kind)| Machine::new(place, kind)).collect();
        let mut pair = Self {
            links: Links::default(),
            machines,
            coming: Queue::default(),
            holder: None,
            formed: false,
            directory,
            dice: Dice::new(seed, &format!("pair {site}")),
            spoke: None,
            news: Default::default(),
            promotions: 0,
            patience: Duration::ZERO,
        };
        (0..pair.machines.len()).for_each(|place| pair.start(place, now));
        pair
    }

    /// A process starts with what its disk has.
    pub fn start(&mut self, place: usize, now: Now) {
        let (directory, seed) = (Arc::clone(&self.directory), self.dice.seed());
        let Some(machine) = self.machines.get_mut(place).filter(|machine| machine.server.is_none()) else {
            return;
        };
        let founds = place == PRIMARY && !self.formed;
        let fresh = if founds {
            Persisted::found(GROUP, info(place, Kind::Server))
        } else {
            Persisted::join(MemberId(place as u64 + 1))
        };
        if let Some(why) = machine.start(fresh, directory, seed, now) {
            self.news.push_back(News::Wrong(format!("machine {place} does not start: {why}")));
        }
    }

    /// A process dies; what its disk had not finished may be there or not.
    pub fn kill(&mut self, place: usize) {
        if let Some(machine) = self.machines.get_mut(place) {
            machine.die(&mut self.dice);
        }
    }

    /// All processes die.
    pub fn all_die(&mut self) {
        (0..self.machines.len()).for_each(|place| self.kill(place));
        self.holder = None;
    }

    /// All processes start that are dead.
    pub fn all_start(&mut self, now: Now) {
        (0..self.machines.len()).for_each(|place| self.start(place, now));
    }

    /// Where the address is.
    #[must_use]
    pub fn holder(&self) -> Option<usize> {
        self.holder
    }

    /// Whoever has the address has lost it.
    pub fn let_go(&mut self) {
        self.holder = None;
    }

    /// The server at the address, stopped or not.
    #[must_use]
    pub fn node(&self) -> Option<&Node> {
        self.machines.get(self.holder?)?.server.as_ref()?.node()
    }

    /// What a member knows of itself and the others; `None` while its process is dead.
    #[must_use]
    pub fn status(&self, place: usize, now: Now) -> Option<quorum::Status> {
        Some(self.machines.get(place)?.server.as_ref()?.status(now))
    }

    /// Whether everybody votes and has everything.
    #[must_use]
    pub fn is_whole(&self, now: Now) -> bool {
        let status = self.holder.and_then(|place| self.status(place, now));
        status.is_some_and(|status| {
            let has_all = |m: &quorum::MemberStatus| m.votes && m.lag.is_none_or(|lag| lag == 0);
            let (serves, whole) = (status.serving.is_some(), status.members.iter().all(has_all));
            serves && status.members.len() == self.machines.len() && whole && !status.voters_change
        })
    }

    /// How much later than it was decided something leaves: everything waits for a majority.
    #[must_use]
    pub fn slack(&self) -> Duration {
        let disks = self.machines.iter().map(|machine| machine.disk.takes).max().unwrap_or_default();
        ms(50) + disks * 4 + (self.links.travels + self.links.jitter) * 4 + self.patience
    }

    /// How long a machine's writes take from now on, twice as long at most.
    pub fn slow_disk(&mut self, place: usize, takes: Duration) {
        if let Some(machine) = self.machines.get_mut(place) {
            machine.disk.takes = takes;
        }
    }

    /// A machine's disk answers nothing, or goes on.
    pub fn stall(&mut self, place: usize, stands: bool, now: At) {
        let Some(machine) = self.machines.get_mut(place) else { return };
        if std::mem::replace(&mut machine.disk.stands, stands) && !stands && machine.disk.is_busy() {
            self.writes(place, now);
        }
    }

    /// A machine's cable is pulled out, or in.
    pub fn unplug(&mut self, place: usize, out: bool) {
        if let Some(machine) = self.machines.get_mut(place) {
            machine.unplugged = out;
        }
    }

    /// Whether a packet to the address reaches a machine.
    #[must_use]
    pub fn is_plugged(&self) -> bool {
        let holder = self.holder.and_then(|place| self.machines.get(place));
        holder.is_some_and(|machine| machine.server.is_some() && !machine.unplugged)
    }

    /// Whether the process at the address is stopped.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.holder.and_then(|place| self.machines.get(place)).is_some_and(|machine| machine.paused)
    }

    /// A process is stopped.
    pub fn pause(&mut self, place: usize) {
        if let Some(machine) = self.machines.get_mut(place) {
            machine.paused = machine.server.is_some();
        }
    }

    /// A stopped process goes on: first with what it was told, or first with its timers. What phones had for it.
    pub fn resume(&mut self, place: usize, at: At, now: Now) -> Vec<Packet> {
        let timers_first = self.dice.chance(500);
        let Some(machine) = self.machines.get_mut(place).filter(|machine| machine.paused) else {
            return Vec::new();
        };
        machine.paused = false;
        let life = machine.life;
        if let Some(server) = machine.server.as_mut().filter(|_| timers_first) {
            server.handle_timeout(now);
        }
        for input in std::mem::take(&mut machine.backlog) {
            self.coming.push(at, Inner::Waited { machine: place, life, input });
        }
        for input in std::mem::take(&mut machine.waiting) {
            if let Some(server) = &mut machine.server {
                server.handle_input(ha::Input::Node(input), now);
            }
        }
        machine.inbox.drain(..).collect()
    }

    /// Keeps a packet for a stopped process.
    pub fn keep(&mut self, packet: Packet) {
        if let Some(machine) = self.holder.and_then(|place| self.machines.get_mut(place)) {
            machine.keep(packet);
        }
    }

    /// The server at the address is told something.
    pub fn handle(&mut self, input: switch::Input, now: Now) {
        if let switch::Input::Directory(directory) = &input {
            self.directory = Arc::clone(directory);
            for server in self.machines.iter_mut().filter_map(|machine| machine.server.as_mut()) {
                server.handle_input(ha::Input::Node(switch::Input::Directory(Arc::clone(directory))), now);
            }
            return;
        }
        if let Some(place) = self.holder {
            self.handle_at(place, input, now);
        }
    }

    /// One server is told something, whether it has the address or not.
    pub fn handle_at(&mut self, place: usize, input: switch::Input, now: Now) {
        let Some(machine) = self.machines.get_mut(place) else { return };
        if machine.paused {
            machine.waiting.push_back(input);
        } else if let Some(server) = &mut machine.server {
            server.handle_input(ha::Input::Node(input), now);
        }
    }

    /// Hands over.
    ///
    /// # Errors
    /// Why not.
    pub fn switchover(&mut self, force: bool, now: Now) -> Result<(), Refused> {
        let nobody = Refused::NotServing { leader: None };
        let holder = self.holder.and_then(|place| self.machines.get_mut(place)).filter(|m| m.runs());
        holder.and_then(|machine| machine.server.as_mut()).ok_or(nobody)?.switchover(None, force, now)
    }

    /// When something comes from a disk or another member.
    #[must_use]
    pub fn comes_at(&self) -> Option<At> {
        self.coming.next_at()
    }

    /// When a server wants to look at its clock.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let running = self.machines.iter().filter(|machine| machine.runs());
        running.filter_map(|machine| machine.server.as_ref()?.poll_timeout()).min()
    }

    /// One thing that is due happens.
    pub fn happen(&mut self, at: At, now: Now) {
        if self.coming.next_at().is_some_and(|next| next <= at) {
            if let Some((_, inner)) = self.coming.pop() {
                self.comes(inner, at, now);
            }
            return;
        }
        for machine in self.machines.iter_mut().filter(|machine| machine.runs()) {
            if let Some(server) = &mut machine.server
                && server.poll_timeout().is_some_and(|due| due <= now.mono)
            {
                server.handle_timeout(now);
            }
        }
    }

    fn comes(&mut self, inner: Inner, at: At, now: Now) {
        match inner {
            Inner::Frame { from, to, bytes } => {
                let unplugged =
                    |place: usize| self.machines.get(place).is_none_or(|machine| machine.unplugged);
                if !unplugged(from) && !unplugged(to) && !self.links.is_cut(from, to) {
                    self.tell(to, quorum::Input::Frame { bytes }, now);
                }
            }
            Inner::Written { machine: place, life } => {
                let machine = self.machines.get_mut(place).filter(|machine| machine.life == life);
                let Some(machine) = machine.filter(|machine| !machine.disk.stands) else { return };
                let Some((token, more)) = machine.disk.finish() else { return };
                self.tell(place, quorum::Input::Stored { token }, now);
                if more {
                    self.writes(place, at);
                }
            }
            Inner::Waited { machine: place, life, input } => {
                if self.machines.get(place).is_some_and(|machine| machine.life == life) {
                    self.tell(place, input, now);
                }
            }
        }
    }

    fn tell(&mut self, place: usize, input: quorum::Input, now: Now) {
        let Some(machine) = self.machines.get_mut(place) else { return };
        if machine.paused {
            machine.backlog.push_back(input);
        } else if let Some(server) = &mut machine.server {
            server.handle_input(ha::Input::Member(input), now);
        }
    }

    fn writes(&mut self, place: usize, at: At) {
        let Some(machine) = self.machines.get(place).filter(|machine| !machine.disk.stands) else { return };
        let (takes, life) = (machine.disk.takes, machine.life);
        let takes = self.dice.between(takes, takes * 2);
        self.coming.push(at + takes, Inner::Written { machine: place, life });
    }

    /// The next thing that somebody asks for.
    pub fn poll(&mut self, at: At, now: Now) -> Option<Heard> {
        loop {
            if let Some(news) = self.news.pop_front() {
                return Some(Heard::News(news));
            }
            let (place, output) = self.next_output(now)?;
            match output {
                ha::Output::Node(output) => {
                    self.speaks(place, &output, now);
                    let unplugged = self.machines.get(place).is_none_or(|machine| machine.unplugged);
                    let lost =
                        unplugged && matches!(output, switch::Output::Transmit(_) | switch::Output::Cti(_));
                    if !lost {
                        return Some(Heard::Node(output));
                    }
                }
                ha::Output::Member(output) => self.member_asks(place, output, at),
                ha::Output::Restore(restore) => {
                    let revived = ha::Input::Revived(Box::new(restore.run()));
                    if let Some(server) =
                        self.machines.get_mut(place).and_then(|machine| machine.server.as_mut())
                    {
                        server.handle_input(revived, now);
                    }
                }
                ha::Output::Serving { epoch, restored } => self.serves(place, epoch, restored, now),
                ha::Output::Stopped { reason, for_good, .. } => {
                    self.holder = self.holder.filter(|holder| *holder != place);
                    let why = reason.to_string();
                    self.news.push_back(News::Stopped { machine: place, for_good, why });
                }
                ha::Output::Resumed => {
                    self.holder = Some(place);
                    self.news.push_back(News::Resumed { machine: place });
                }
                ha::Output::Unreadable(bad) => {
                    self.news.push_back(News::Wrong(format!("machine {place} cannot read: {bad:?}")));
                }
                // Whoever drives the simulation ends every process of a site that is drained.
                ha::Output::SiteDrained => {}
            }
        }
    }

    fn next_output(&mut self, now: Now) -> Option<(usize, ha::Output)> {
        let running = self.machines.iter_mut().enumerate().filter(|(_, machine)| machine.runs());
        running
            .into_iter()
            .find_map(|(place, machine)| Some((place, machine.server.as_mut()?.poll_output(now)?)))
    }

    fn serves(&mut self, place: usize, epoch: u32, restored: Restored, now: Now) {
        self.holder = Some(place);
        self.promotions += 1;
        if let Some(machine) = self.machines.get_mut(place) {
            machine.epoch = epoch;
            if !std::mem::replace(&mut self.formed, true) {
                let others = [info(BACKUP, Kind::Server), info(WITNESS, Kind::Witness)];
                let change = Change { set: others.into(), remove: Vec::new() };
                let taken = machine.server.as_mut().map(|server| server.change(&change, now));
                if let Some(Err(refused)) = taken {
                    self.news.push_back(News::Wrong(format!("the others are not taken in: {refused}")));
                }
            }
        }
        self.news.push_back(News::Serves { machine: place, epoch, restored });
    }

    fn member_asks(&mut self, place: usize, output: quorum::Output, at: At) {
        match output {
            quorum::Output::Send { to, frame } => {
                let to = place_of(to);
                if let Some(delay) = self.links.delay(place, to, &mut self.dice) {
                    self.coming.push(at + delay, Inner::Frame { from: place, to, bytes: frame });
                }
            }
            quorum::Output::Write(write) => {
                let machine = self.machines.get_mut(place);
                if machine.is_some_and(|machine| machine.disk.accept(write)) {
                    self.writes(place, at);
                }
            }
            quorum::Output::Note(quorum::Note::BadFrame(bad)) => {
                self.news.push_back(News::Wrong(format!("machine {place} cannot read a frame: {bad:?}")));
            }
            quorum::Output::Note(_)
            | quorum::Output::Standing(_)
            | quorum::Output::Roster(_)
            | quorum::Output::Committed { .. }
            | quorum::Output::Install(_)
            | quorum::Output::SnapshotWanted { .. }
            | quorum::Output::Serve { .. }
            | quorum::Output::StandDown { .. } => {}
        }
    }

    /// Something leaves a server: it must have a lease, and nobody of a later epoch may have spoken.
    fn speaks(&mut self, place: usize, output: &switch::Output, now: Now) {
        let Some(machine) = self.machines.get(place) else { return };
        let epoch = machine.epoch;
        if !machine.server.as_ref().is_some_and(|server| server.lease().holds_at(now.mono)) {
            self.wrong(format!("machine {place} says {output:?} without a lease"));
        }
        self.hears(epoch, place);
    }

    fn hears(&mut self, epoch: u32, place: usize) {
        if let Some((last, other)) = self.spoke
            && (epoch < last || (epoch == last && other != place))
        {
            let text =
                format!("machine {place} speaks in epoch {epoch} after machine {other} in epoch {last}");
            return self.wrong(text);
        }
        self.spoke = Some((epoch, place));
    }

    fn wrong(&mut self, text: String) {
        self.news.push_back(News::Wrong(text));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use super::*;
    use crate::sites::{A, Setup};

    fn pair() -> Pair {
        let directory = Setup { sites: 1, ..Setup::default() }.directory(A).unwrap();
        #[expect(clippy::disallowed_methods, reason = "an Instant cannot be made from nothing")]
        let now = Now { mono: Instant::now(), unix_ms: 1 };
        let mut pair = Pair::new(directory, 1, "A", now);
        pair.news.clear();
        pair
    }

    fn is_found(pair: &Pair) -> bool {
        pair.news.iter().any(|news| matches!(news, News::Wrong(_)))
    }

    #[test]
    fn who_speaks_after_the_other_has_spoken_in_a_later_epoch_is_found_out() {
        let mut pair = pair();
        for (epoch, place) in [(2, PRIMARY), (2, PRIMARY), (3, BACKUP), (4, BACKUP), (6, PRIMARY)] {
            pair.hears(epoch, place);
            assert!(!is_found(&pair));
        }
        pair.hears(4, BACKUP);
        assert!(is_found(&pair));
    }

    #[test]
    fn two_who_speak_in_one_epoch_are_found_out() {
        let mut pair = pair();
        pair.hears(2, PRIMARY);
        pair.hears(2, BACKUP);
        assert!(is_found(&pair));
    }

    #[test]
    fn who_speaks_without_a_lease_is_found_out() {
        let mut pair = pair();
        #[expect(clippy::disallowed_methods, reason = "an Instant cannot be made from nothing")]
        let now = Now { mono: Instant::now(), unix_ms: 1 };
        pair.speaks(BACKUP, &switch::Output::CtiClose(switch::cti::LinkId(1)), now);
        assert!(is_found(&pair));
    }
}
