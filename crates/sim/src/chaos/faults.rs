//! Faults, each with its own end.

use std::time::Duration;

use super::{Chaos, refusal};
use crate::net::Weather;
use crate::sites::{A, B};
use crate::time::{ms, secs};

impl Chaos {
    pub(super) fn break_something(&mut self) {
        self.faults += 1;
        let lasts = self.dice.between(secs(1), secs(25));
        let site = if self.dice.chance(500) { A } else { B };
        match self.dice.below(11) {
            0 | 1 => self.storm(lasts),
            2 => self.cut_link(lasts),
            3 => self.cut_link_one_way(lasts),
            4 => self.cut_device(lasts),
            5 => {
                let how = refusal(&mut self.dice);
                self.sim.crash(site, how);
                self.sim.at(lasts, move |sim| sim.restart(site));
            }
            6 => {
                self.sim.freeze(site);
                self.sim.at(lasts, move |sim| sim.thaw(site));
            }
            7 => self.slow_committer(site, lasts),
            8 => {
                if let Some(site) = self.sim.site_mut(site) {
                    site.dies_at_store = site.node.is_some();
                }
                self.sim.at(lasts, move |sim| sim.restart(site));
            }
            9 => self.power_cut(lasts),
            _ => self.jump_clock(site),
        }
    }

    fn storm(&mut self, lasts: Duration) {
        let calm = self.sim.net.weather;
        self.sim.net.weather = Weather {
            loss: u32::try_from(self.dice.below(300)).unwrap_or(0),
            duplicated: u32::try_from(self.dice.below(200)).unwrap_or(0),
            late: u32::try_from(self.dice.below(200)).unwrap_or(0),
            jitter: self.dice.between(ms(0), ms(60)),
            latency: self.dice.between(ms(1), ms(80)),
        };
        self.sim.note("a storm begins");
        self.sim.at(lasts, move |sim| sim.net.weather = Weather { loss: 0, duplicated: 0, late: 0, ..calm });
    }

    fn cut_link(&mut self, lasts: Duration) {
        let how = refusal(&mut self.dice);
        self.sim.cut_link(how);
        self.sim.at(lasts, |sim| sim.heal());
    }

    fn cut_link_one_way(&mut self, lasts: Duration) {
        let how = refusal(&mut self.dice);
        self.sim.net.cut_one_way(&[A.addr().ip()], &[B.addr().ip()], how);
        self.sim.note("the link from A to B is cut");
        self.sim.at(lasts, |sim| sim.heal());
    }

    fn cut_device(&mut self, lasts: Duration) {
        let devices: Vec<_> = self.phones.iter().chain(&self.gateways).copied().collect();
        let Some(device) = self.dice.pick(&devices).copied() else { return };
        let site = if self.dice.chance(500) { A } else { B };
        let how = refusal(&mut self.dice);
        self.sim.net.cut(&[self.sim.ip(device)], &[site.addr().ip()], how);
        self.sim.note(&format!("device {} is cut off from {}", device.0, site.name()));
        self.sim.at(lasts, |sim| sim.heal());
    }

    fn slow_committer(&mut self, site: crate::SiteId, lasts: Duration) {
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

    fn jump_clock(&mut self, site: crate::SiteId) {
        let by = i64::try_from(self.dice.below(20_000)).unwrap_or(0) - 10_000;
        if let Some(site) = self.sim.site_mut(site) {
            site.skew_ms += by;
        }
        self.sim.note(&format!("the wall clock of {} jumps by {by} ms", site.name()));
    }
}
