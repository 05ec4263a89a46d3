//! Faults of the network and of the servers, each with its own end.

use std::net::IpAddr;
use std::time::Duration;

use tandem_switch::{DrainOrder, Migrate, MigrateOrder};

use super::{Chaos, refusal};
use crate::net::{CutId, Weather};
use crate::sites::{A, B, SiteId};
use crate::time::{ms, secs};

impl Chaos {
    pub(super) fn break_something(&mut self) {
        self.faults += 1;
        let lasts = self.dice.between(secs(1), secs(25));
        let site = if self.dice.chance(500) { A } else { B };
        if self.plan.pairs && self.dice.chance(400) {
            return self.fail_over(lasts);
        }
        match self.dice.below(21) {
            0 | 1 => self.storm(lasts),
            2 => self.cut_link(lasts),
            3 => self.cut_link_one_way(site, lasts),
            4 => self.cut_device(site, lasts),
            5 => self.slow_link(lasts),
            6 => self.isolate(site, lasts),
            7 => {
                let how = refusal(&mut self.dice);
                self.sim.crash(site, how);
                let remembers = self.dice.chance(600);
                self.sim.at(lasts, move |sim| if remembers { sim.recover(site) } else { sim.restart(site) });
            }
            8 => {
                self.sim.freeze(site);
                self.sim.at(lasts, move |sim| sim.thaw(site));
            }
            9 => self.slow_committer(site, lasts),
            10 => {
                if let Some(site) = self.sim.site_mut(site) {
                    site.dies_at_store = site.node().is_some();
                }
                self.sim.at(lasts, move |sim| sim.restart(site));
            }
            11 => self.power_cut(lasts),
            12 => self.jump_clock(site),
            13 => self.drain(site, lasts),
            14 => self.migrate(site, lasts),
            15..19 => self.misbehave(lasts),
            _ => self.storm_of_requests(),
        }
    }

    fn storm(&mut self, lasts: Duration) {
        let calm = self.sim.net.weather;
        self.sim.net.weather = Weather {
            loss: if self.dice.chance(700) { u32::try_from(self.dice.below(300)).unwrap_or(0) } else { 0 },
            duplicated: u32::try_from(self.dice.below(200)).unwrap_or(0),
            late: u32::try_from(self.dice.below(200)).unwrap_or(0),
            jitter: self.dice.between(ms(0), ms(60)),
            latency: self.dice.between(ms(1), ms(80)),
        };
        self.sim.note("a storm begins");
        self.sim.at(lasts, move |sim| sim.net.weather = Weather { loss: 0, duplicated: 0, late: 0, ..calm });
    }

    fn repaired_after(&mut self, lasts: Duration, cuts: impl IntoIterator<Item = CutId> + 'static) {
        self.sim.at(lasts, |sim| {
            cuts.into_iter().for_each(|cut| sim.net.repair(cut));
            sim.note("a cut is repaired");
        });
    }

    fn cut_link(&mut self, lasts: Duration) {
        let how = refusal(&mut self.dice);
        let cuts = self.sim.net.cut(&[A.addr().ip()], &[B.addr().ip()], how);
        self.sim.note("the link between the sites is cut");
        self.repaired_after(lasts, cuts);
    }

    fn cut_link_one_way(&mut self, from: SiteId, lasts: Duration) {
        let how = refusal(&mut self.dice);
        let cut = self.sim.net.cut_one_way(&[from.addr().ip()], &[from.other().addr().ip()], how);
        self.sim.note(&format!("the link from {} to {} is cut", from.name(), from.other().name()));
        self.repaired_after(lasts, [cut]);
    }

    fn cut_device(&mut self, site: SiteId, lasts: Duration) {
        let Some(device) = self.any_device() else { return };
        let how = refusal(&mut self.dice);
        let (device_ip, site_ip) = (self.sim.ip(device), site.addr().ip());
        let both = self.sim.net.cut(&[device_ip], &[site_ip], how);
        self.sim.note(&format!("device {} is cut off from {}", device.0, site.name()));
        if self.dice.chance(300) {
            let [one, _] = both;
            self.sim.net.repair(one);
            self.sim.note("but its packets arrive");
        }
        self.repaired_after(lasts, both);
    }

    /// Packets between the sites arrive late, in order of their sending: below and above what a probe waits for.
    fn slow_link(&mut self, lasts: Duration) {
        let by = self.dice.between(ms(50), ms(2_500));
        let cut = self.sim.net.slow_down(A.addr().ip(), B.addr().ip(), by);
        self.sim.note(&format!("the link between the sites is slow by {by:?} each way"));
        self.repaired_after(lasts, [cut]);
    }

    /// Nobody reaches a site: neither the other site, nor phones, gateways and desktops.
    fn isolate(&mut self, site: SiteId, lasts: Duration) {
        let how = refusal(&mut self.dice);
        let devices = self.phones.iter().chain(&self.gateways).map(|device| self.sim.ip(*device));
        let desks = self.desks.iter().map(|desk| self.sim.desk(*desk).addr);
        let all: Vec<IpAddr> = devices.chain(desks).chain([site.other().addr().ip()]).collect();
        let cuts = self.sim.net.cut(&[site.addr().ip()], &all, how);
        self.sim.note(&format!("{} is cut off from everybody", site.name()));
        for desk in self.desks.clone() {
            if self.sim.desk(desk).site == site {
                self.sim.break_link(desk, how);
            }
        }
        self.repaired_after(lasts, cuts);
    }

    fn slow_committer(&mut self, site: SiteId, lasts: Duration) {
        let delay = self.dice.between(ms(1), ms(300));
        if let Some(site) = self.sim.site_mut(site) {
            site.commit_delay = delay;
        }
        self.sim.note(&format!("the committer of {} takes {delay:?}", site.name()));
        self.sim.at(lasts, move |sim| {
            if let Some(site) = sim.site_mut(site) {
                site.commit_delay = Duration::ZERO;
            }
        });
    }

    fn power_cut(&mut self, lasts: Duration) {
        if self.power_cut {
            return;
        }
        self.power_cut = true;
        let Some(phone) = self.dice.pick(&self.phones).copied() else { return };
        if self.absent.contains(&phone) {
            return;
        }
        self.sim.power_off(phone);
        self.sim.at(lasts, move |sim| sim.power_on(phone));
    }

    fn jump_clock(&mut self, site: SiteId) {
        let by = i64::try_from(self.dice.below(20_000)).unwrap_or(0) - 10_000;
        if let Some(site) = self.sim.site_mut(site) {
            site.skew_ms += by;
        }
        self.sim.note(&format!("the wall clock of {} jumps by {by} ms", site.name()));
    }

    /// A site shuts down gracefully: called off after a while, or carried through and started again.
    fn drain(&mut self, site: SiteId, lasts: Duration) {
        self.sim.order_drain(site, DrainOrder::Start { by: "chaos".into() });
        if self.dice.chance(500) {
            self.sim.at(lasts, move |sim| sim.order_drain(site, DrainOrder::Abort { by: "chaos".into() }));
        } else {
            self.sim.at(lasts + secs(30), move |sim| sim.restart(site));
        }
    }

    /// A share of a site's calls and agents moves to the other, and stays there or comes back.
    fn migrate(&mut self, site: SiteId, lasts: Duration) {
        let wanted = Migrate {
            to: site.other().name().into(),
            by: "chaos".into(),
            percent: u8::try_from(self.dice.below(101)).unwrap_or(0),
            group: None,
            step: u8::try_from(1 + self.dice.below(100)).unwrap_or(100),
            every: self.dice.between(secs(1), secs(10)),
        };
        let back = Migrate { percent: 0, ..wanted.clone() };
        // A site that is not peered refuses, which is as good an answer as any.
        let _ = self.sim.order_migration(site, MigrateOrder::To(wanted));
        let order = match self.dice.below(3) {
            0 => MigrateOrder::To(back),
            1 => MigrateOrder::Pause { by: "chaos".into(), paused: true },
            _ => MigrateOrder::Abort { by: "chaos".into() },
        };
        self.sim.at(lasts, move |sim| drop(sim.order_migration(site, order)));
    }

    /// Nobody is drained or moved any more.
    pub(super) fn call_off_orders(&mut self, site: SiteId) {
        let by = || "peace".into();
        let _ = self.sim.order_migration(site, MigrateOrder::Abort { by: by() });
        self.sim.order_drain(site, DrainOrder::Abort { by: by() });
    }
}
