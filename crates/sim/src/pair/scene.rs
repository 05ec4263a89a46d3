//! What a scenario does to a pair, and what follows from what becomes of one.

use super::{News, Pair};
use crate::net::Refusal;
use crate::oracle::Invariant;
use crate::sim::Sim;
use crate::site::Site;
use crate::sites::SiteId;

impl Sim {
    /// A site's pair, to change its links and disks; then nothing is due that was not before.
    ///
    /// # Panics
    /// If the site is none.
    #[expect(clippy::expect_used, reason = "a scenario made it")]
    pub fn pair_mut(&mut self, id: SiteId) -> &mut Pair {
        self.sites.get_mut(id.0).and_then(|site| site.pair.as_deref_mut()).expect("the site is a pair")
    }

    fn pair(&self, id: SiteId) -> Option<&Pair> {
        self.sites.get(id.0)?.pair.as_deref()
    }

    /// Which of a pair's machines has the address; `None` while nobody does.
    #[must_use]
    pub fn serving(&self, id: SiteId) -> Option<usize> {
        self.pair(id)?.holder()
    }

    /// How often a server of a pair has begun to serve.
    #[must_use]
    pub fn promotions(&self, id: SiteId) -> u32 {
        self.pair(id).map_or(0, |pair| pair.promotions)
    }

    /// Whether a pair's members all vote and have everything.
    #[must_use]
    pub fn is_whole(&self, id: SiteId) -> bool {
        let site = self.sites.get(id.0);
        site.is_some_and(|site| site.pair.as_ref().is_some_and(|pair| pair.is_whole(site.clock(self.now()))))
    }

    /// A server's process dies. Packets to the address, if it was there, are refused by its host, or vanish with that.
    pub fn kill_server(&mut self, id: SiteId, place: usize, how: Refusal) {
        let had = self.serving(id) == Some(place);
        self.note(&format!("server {place} of {} dies", id.name()));
        let pair = self.pair_mut(id);
        pair.kill(place);
        if had {
            pair.let_go();
            self.net.take_down(id.addr().ip(), how);
            self.stops(id);
            if how == Refusal::Refused {
                self.old_links_break(id, true);
            }
        }
        self.drain(id);
    }

    /// A dead server starts again with what its disk has.
    pub fn start_server(&mut self, id: SiteId, place: usize) {
        let now = self.now();
        self.note(&format!("server {place} of {} starts", id.name()));
        if let Some(site) = self.sites.get_mut(id.0) {
            let clock = site.seen(now);
            if let Some(pair) = &mut site.pair {
                pair.start(place, clock);
            }
        }
        self.drain(id);
    }

    /// A server's process is stopped (SIGSTOP): packets wait for it, its clock runs on.
    pub fn pause_server(&mut self, id: SiteId, place: usize) {
        self.note(&format!("server {place} of {} is stopped", id.name()));
        if self.serving(id) == Some(place) {
            self.oracles.excuse(id);
        }
        self.pair_mut(id).pause(place);
        self.drain(id);
    }

    /// A stopped process goes on (SIGCONT), with everything that waited for it.
    pub fn resume_server(&mut self, id: SiteId, place: usize) {
        let now = self.now();
        self.note(&format!("server {place} of {} goes on", id.name()));
        let Some(site) = self.sites.get_mut(id.0) else { return };
        let clock = site.seen(now);
        let waiting = site.pair.as_mut().map(|pair| pair.resume(place, now, clock)).unwrap_or_default();
        let has_address = self.serving(id) == Some(place);
        if has_address {
            self.oracles.failed(id.addr(), "a server in its path was stopped");
        }
        for packet in waiting {
            if has_address {
                self.deliver_to_site(id, packet);
            } else if let Some(site) = self.sites.get_mut(id.0)
                && let Some(input) = site.input_of(packet)
                && let Some(pair) = &mut site.pair
            {
                pair.handle_at(place, input, clock);
            }
        }
        self.drain(id);
    }

    /// The cable of a server's machine is pulled out, or in: no phone and no member reaches it, nor it them.
    pub fn unplug_server(&mut self, id: SiteId, place: usize, out: bool) {
        self.note(&format!(
            "server {place} of {} is {}",
            id.name(),
            if out { "cut off" } else { "reached again" }
        ));
        self.pair_mut(id).unplug(place, out);
        if self.serving(id) == Some(place) {
            if out {
                self.net.take_down(id.addr().ip(), Refusal::Blackhole);
                self.oracles.failed(id.addr(), "a server in its path was cut off");
            } else {
                self.net.bring_up(id.addr().ip());
            }
            self.oracles.excuse(id);
        }
        self.drain(id);
    }

    /// A machine's disk answers nothing, or goes on.
    pub fn stall_disk(&mut self, id: SiteId, place: usize, stands: bool) {
        let (now, does) = (self.now(), if stands { "stalls" } else { "works" });
        self.note(&format!("the disk of server {place} of {} {does}", id.name()));
        self.pair_mut(id).stall(place, stands, now);
        self.oracles.excuse(id);
        self.drain(id);
    }

    /// The server that serves hands over to the other.
    ///
    /// # Errors
    /// Why it does not.
    pub fn switch_over(&mut self, id: SiteId, force: bool) -> Result<(), String> {
        let now = self.now();
        self.note(&format!("{} is told to switch over", id.name()));
        let site = self.sites.get_mut(id.0).ok_or("no such site")?;
        let clock = site.seen(now);
        let asked = site.pair.as_mut().ok_or("the site is no pair")?.switchover(force, clock);
        self.drain(id);
        asked.map_err(|refused| refused.to_string())
    }

    /// Frames between members pass again, disks work, and every process runs.
    pub fn mend_pair(&mut self, id: SiteId) {
        self.pair_mut(id).links.mend();
        for place in 0..3 {
            self.unplug_server(id, place, false);
            self.stall_disk(id, place, false);
            self.resume_server(id, place);
            self.start_server(id, place);
        }
    }

    /// Something has become of a pair.
    pub(crate) fn pair_news(&mut self, id: SiteId, news: News) {
        let now = self.now();
        match news {
            News::Serves { machine, epoch, restored } => {
                self.stops(id);
                self.net.bring_up(id.addr().ip());
                if let Some(site) = self.sites.get_mut(id.0) {
                    site.promoted();
                }
                self.note(&format!("server {machine} of {} serves in epoch {epoch}: {restored}", id.name()));
                self.old_links_break(id, false);
                self.watches_link_anew();
                self.oracles.goes_on(id);
                self.overhear(id);
            }
            News::Stopped { machine, for_good, why } => {
                let rests = if for_good { "stands down" } else { "rests" };
                self.note(&format!("server {machine} of {} {rests}: {why}", id.name()));
                if self.serving(id).is_none() {
                    self.net.take_down(id.addr().ip(), Refusal::Blackhole);
                    self.oracles.failed(id.addr(), "a server in its path stood down");
                    self.oracles.excuse(id);
                    if for_good {
                        self.stops(id);
                    }
                }
            }
            News::Resumed { machine } => {
                self.note(&format!("server {machine} of {} has its lease again", id.name()));
                self.net.bring_up(id.addr().ip());
                self.oracles.excuse(id);
                let waiting = self.sites.get_mut(id.0).map(|site| std::mem::take(&mut site.cti_inbox));
                for input in waiting.unwrap_or_default() {
                    if let Some(site) = self.sites.get_mut(id.0) {
                        site.handle(tandem_switch::Input::Cti(input), now);
                    }
                }
            }
            News::Wrong(text) => {
                self.oracles.report(now, Invariant::OneServerSpeaks, format!("{}: {text}", id.name()));
            }
        }
    }

    /// Whoever spoke for a pair does no more.
    fn stops(&mut self, id: SiteId) {
        let Some(site) = self.sites.get_mut(id.0) else { return };
        if std::mem::take(&mut site.speaks) {
            site.cti_inbox.clear();
            site.recorder.dies();
            self.oracles.forget(id);
        }
    }
}

impl Site {
    /// A pair's processes all start again that are dead.
    pub(crate) fn start_pair(&mut self, now: crate::time::At) {
        let clock = self.seen(now);
        if let Some(pair) = &mut self.pair {
            pair.all_start(clock);
        }
    }
}
