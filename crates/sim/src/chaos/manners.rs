//! Devices and desktops that misbehave, for a while.

use std::time::Duration;

use super::Chaos;
use crate::sim::UaId;
use crate::time::secs;
use crate::ua::{Manners, OnCall};

impl Chaos {
    /// Any phone or gateway that takes part.
    pub(super) fn any_device(&mut self) -> Option<UaId> {
        let devices: Vec<_> = self.phones.iter().chain(&self.gateways).copied().collect();
        self.dice.pick(&devices).copied().filter(|device| !self.absent.contains(device))
    }

    pub(super) fn misbehave(&mut self, lasts: Duration) {
        let Some(device) = self.any_device() else { return };
        let manners = match self.dice.below(6) {
            0 => Manners { never_acknowledges: true, ..Manners::default() },
            1 => Manners { ignores_bye: true, ..Manners::default() },
            2 => Manners { answers_after_cancel: true, ..Manners::default() },
            3 => Manners { is_mute: true, ..Manners::default() },
            4 => {
                // Longer than the server has patience: its CANCEL and the answer cross.
                let after = self.dice.between(secs(8), secs(60));
                self.sim.note(&format!("device {} answers late, after {after:?}", device.0));
                return self.sim.change(device, |profile| profile.on_call = OnCall::Answer { after });
            }
            _ => return self.sim.drop_connections(device),
        };
        self.sim.note(&format!("device {} misbehaves: {manners:?}", device.0));
        self.sim.change(device, |profile| profile.manners = manners);
        self.sim.at(lasts, move |sim| sim.change(device, |profile| profile.manners = Manners::default()));
    }

    /// A device asks for much more at once than a person could.
    pub(super) fn storm_of_requests(&mut self) {
        let Some(device) = self.any_device() else { return };
        let times = 3 + self.dice.below(20);
        self.sim.note(&format!("device {} goes wild", device.0));
        match self.dice.below(4) {
            0 => (0..times).for_each(|_| self.sim.register_again(device)),
            1 => (0..times).for_each(|_| self.calls_anybody(device)),
            2 => {
                if let Some((ua, call)) = self.talking() {
                    (0..times).for_each(|_| self.sim.send_within(ua, call, "INFO"));
                }
            }
            _ => self.storm_at_desk(times),
        }
    }

    fn calls_anybody(&mut self, device: UaId) {
        let numbers = ["1001", "1002", "1003", "1004", "1005", "1006", "1007", "1008", "1010", "4711"];
        let number = self.dice.pick(&numbers).copied().unwrap_or("1001");
        self.calls(device, number);
    }
}
