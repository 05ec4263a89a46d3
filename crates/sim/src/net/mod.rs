//! The network: latency, loss, duplication, reordering, cuts between named hosts, and address translation. Every
//! packet's fate is decided when it is sent, by the network's own dice.

pub mod nat;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use nat::Nat;

use crate::dice::Dice;
use crate::time::{At, ms, secs};
use crate::wire::{Over, Packet};

/// How the network treats packets that are not cut off.
#[derive(Clone, Copy, Debug)]
pub struct Weather {
    /// Shortest one-way delay.
    pub latency: Duration,
    /// Further delay, up to this, different for each datagram: datagrams overtake each other.
    pub jitter: Duration,
    /// Datagrams lost, of a thousand.
    pub loss: u32,
    /// Datagrams that arrive twice, of a thousand.
    pub duplicated: u32,
    /// Datagrams held back long enough to arrive after several others, of a thousand.
    pub late: u32,
}

impl Default for Weather {
    /// A local network: 2 ms, nothing lost.
    fn default() -> Self {
        Self { latency: ms(2), jitter: Duration::ZERO, loss: 0, duplicated: 0, late: 0 }
    }
}

/// What becomes of packets into a cut or to a dead host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// They vanish.
    Blackhole,
    /// The sender hears of it: ICMP unreachable, or a reset.
    Refused,
}

/// A cut by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CutId(u64);

/// Packets from some hosts to others are late by so much.
#[derive(Clone, Debug)]
struct Slow {
    id: CutId,
    one: IpAddr,
    other: IpAddr,
    by: Duration,
}

/// Which hosts a cut separates, one way.
#[derive(Clone, Debug)]
struct Cut {
    id: CutId,
    from: Vec<IpAddr>,
    to: Vec<IpAddr>,
    how: Refusal,
}

/// One thing that becomes of a packet.
#[derive(Debug)]
pub enum Fate {
    /// It arrives, addresses translated.
    Arrives {
        /// After this time.
        after: Duration,
        /// As the receiver sees it.
        packet: Packet,
    },
    /// It vanishes.
    Lost(&'static str),
    /// The sender is told that it was not delivered.
    Refused {
        /// After this time.
        after: Duration,
    },
}

/// How long a TCP sender waits for a peer that does not answer before it gives the connection up.
const TCP_PATIENCE: Duration = secs(10);

/// The network.
#[derive(Debug)]
pub struct Net {
    /// How packets are treated.
    pub weather: Weather,
    /// Address translators.
    pub nats: Vec<Nat>,
    cuts: Vec<Cut>,
    slow: Vec<Slow>,
    next_cut: u64,
    down: Vec<(IpAddr, Refusal)>,
    dice: Dice,
}

impl Net {
    /// A calm network.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let dice = Dice::new(seed, "network");
        Self {
            weather: Weather::default(),
            nats: Vec::new(),
            cuts: Vec::new(),
            slow: Vec::new(),
            next_cut: 1,
            down: Vec::new(),
            dice,
        }
    }

    /// Nothing passes between the two groups, in neither direction.
    pub fn cut(&mut self, one: &[IpAddr], other: &[IpAddr], how: Refusal) -> [CutId; 2] {
        [self.cut_one_way(one, other, how), self.cut_one_way(other, one, how)]
    }

    /// Nothing passes from one group to the other.
    pub fn cut_one_way(&mut self, from: &[IpAddr], to: &[IpAddr], how: Refusal) -> CutId {
        let id = self.fresh();
        self.cuts.push(Cut { id, from: from.to_vec(), to: to.to_vec(), how });
        id
    }

    /// Packets between two hosts take longer, by so much each way.
    pub fn slow_down(&mut self, one: IpAddr, other: IpAddr, by: Duration) -> CutId {
        let id = self.fresh();
        self.slow.push(Slow { id, one, other, by });
        id
    }

    fn fresh(&mut self) -> CutId {
        self.next_cut += 1;
        CutId(self.next_cut)
    }

    /// One cut, or slow link, is repaired.
    pub fn repair(&mut self, id: CutId) {
        self.cuts.retain(|cut| cut.id != id);
        self.slow.retain(|slow| slow.id != id);
    }

    /// Whether every packet between two hosts arrives, and soon.
    #[must_use]
    pub fn is_calm_between(&self, one: IpAddr, other: IpAddr) -> bool {
        let calm = self.weather.loss == 0 && self.weather.late == 0;
        calm && self.slowed(one, other).is_zero() && !self.is_cut(one, other)
    }

    /// How much later than usual packets from one host to another arrive.
    #[must_use]
    pub fn slowed(&self, from: IpAddr, to: IpAddr) -> Duration {
        let between =
            |slow: &&Slow| (slow.one, slow.other) == (from, to) || (slow.other, slow.one) == (from, to);
        self.slow.iter().filter(between).map(|slow| slow.by).sum()
    }

    /// Every cut is repaired.
    pub fn heal(&mut self) {
        self.cuts.clear();
        self.slow.clear();
    }

    /// A host is dead.
    pub fn take_down(&mut self, host: IpAddr, how: Refusal) {
        self.bring_up(host);
        self.down.push((host, how));
    }

    /// A host is alive again.
    pub fn bring_up(&mut self, host: IpAddr) {
        self.down.retain(|(ip, _)| *ip != host);
    }

    /// Whether anything is cut between two hosts, or one of them is dead.
    #[must_use]
    pub fn is_cut(&self, one: IpAddr, other: IpAddr) -> bool {
        let cut =
            |from: &IpAddr, to: &IpAddr| self.cuts.iter().any(|c| c.from.contains(from) && c.to.contains(to));
        let dead = |host| self.refusal_of(host).is_some();
        cut(&one, &other) || cut(&other, &one) || dead(one) || dead(other)
    }

    /// How a host refuses, if it is dead.
    #[must_use]
    pub fn refusal_of(&self, host: IpAddr) -> Option<Refusal> {
        self.down.iter().find(|(ip, _)| *ip == host).map(|(_, how)| *how)
    }

    /// Delay for a packet that is neither early nor late, there and back.
    #[must_use]
    pub fn round_trip(&self) -> Duration {
        self.weather.latency * 2
    }

    /// Decides what becomes of a packet. More than one fate means that it was duplicated.
    pub fn carry(&mut self, mut packet: Packet, now: At) -> Vec<Fate> {
        if self.refusal_of(packet.from.ip()).is_some() {
            return vec![Fate::Lost("sender is dead")];
        }
        let (from, to) = (packet.from, packet.to);
        if let Some(why) = self.translate(&mut packet, now) {
            return vec![Fate::Lost(why)];
        }
        if let Some(how) = self.cut_between(from, to).or_else(|| self.cut_between(packet.from, packet.to)) {
            return vec![self.refuse(how, packet.over, "cut")];
        }
        let slowed = self.slowed(packet.from.ip(), packet.to.ip());
        if packet.over == Over::Tcp {
            return vec![Fate::Arrives { after: self.weather.latency + slowed, packet }];
        }
        if self.dice.chance(self.weather.loss) {
            return vec![Fate::Lost("lost")];
        }
        let mut fates = Vec::with_capacity(1);
        if self.dice.chance(self.weather.duplicated) {
            fates.push(Fate::Arrives { after: self.delay() + slowed, packet: packet.clone() });
        }
        fates.push(Fate::Arrives { after: self.delay() + slowed, packet });
        fates
    }

    /// What the sender of a packet hears when the host it was for is dead.
    #[must_use]
    pub fn refuse(&self, how: Refusal, over: Over, why: &'static str) -> Fate {
        match (how, over) {
            (Refusal::Refused, _) => Fate::Refused { after: self.weather.latency },
            (Refusal::Blackhole, Over::Tcp) => Fate::Refused { after: TCP_PATIENCE },
            (Refusal::Blackhole, Over::Udp) => Fate::Lost(why),
        }
    }

    fn delay(&mut self) -> Duration {
        let Weather { latency, jitter, late, .. } = self.weather;
        let held_back =
            if self.dice.chance(late) { self.dice.between(ms(20), ms(800)) } else { Duration::ZERO };
        self.dice.between(latency, latency + jitter) + held_back
    }

    fn cut_between(&self, from: SocketAddr, to: SocketAddr) -> Option<Refusal> {
        let (from, to) = (from.ip(), to.ip());
        self.cuts.iter().find(|cut| cut.from.contains(&from) && cut.to.contains(&to)).map(|cut| cut.how)
    }

    fn translate(&mut self, packet: &mut Packet, now: At) -> Option<&'static str> {
        let (source, destination) = (packet.from.ip(), packet.to.ip());
        for nat in &mut self.nats {
            let (out, within) = (nat.hides(source), nat.hides(destination));
            if within && !out {
                return Some("private address");
            }
            if out && !within {
                packet.from = nat.outwards(packet.from, packet.to, now);
            }
            if destination == nat.public() {
                match nat.inwards(packet.to, packet.from, now) {
                    Some(inside) => packet.to = inside,
                    None => return Some("no NAT mapping"),
                }
            }
        }
        None
    }
}
