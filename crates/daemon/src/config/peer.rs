//! `dr-peer-trunk`, and what must fit the trunk that it names.

use std::time::Duration;

use tandem_peer::trunk::{BadTrunkOption, TrunkRole};
use tandem_switch::directory::Options;

use super::application::ToPeer;
use super::objects::Objects;
use super::reader::{Located, Reader};

impl Objects {
    /// Looks up the trunk that `dr-peer-trunk` names; from here on it has the role of the peer.
    pub fn join_peer(&mut self, reader: &Reader, to_peer: &ToPeer, options: &mut Options) {
        options.site_timeout = to_peer.site_timeout.as_ref().map(|found| Duration::from_secs(found.value));
        let Some(name) = &to_peer.trunk else { return };
        if !self.trunks.iter().any(|trunk| *trunk.value.name == *name.value)
            && let Some(kind) = self.kind_of(&name.value)
        {
            let text = format!("`dr-peer-trunk` names {}, a DN of {kind}", name.value);
            let hint = "it names a Trunk DN, declared with [[trunk]], that leads to the other site";
            return reader.fault(name.at.clone(), text, hint);
        }
        let Some(id) = self.find(reader, "dr-peer-trunk", name) else { return };
        let Some(trunk) = self.trunks.get_mut(id.0 as usize) else { return };
        let trunk = &mut trunk.value;
        trunk.oos.role = TrunkRole::Peer;
        options.dr_peer_trunk = Some(id);
        match trunk.oos.check() {
            Ok(()) => {}
            Err(BadTrunkOption::PeerUnchecked) => {
                let text =
                    format!("`dr-peer-trunk` names the trunk \"{}\", whose `oos-check` is 0", name.value);
                let hint = "set oos-check of that trunk to 1..300, or its loss is never noticed";
                return reader.fault(name.at.clone(), text, hint);
            }
            // Said where the trunk is declared.
            Err(_) => return,
        }
        let bound = trunk.oos.detection_bound().map_or(0, |bound| bound.as_secs());
        if let Some(wait) = &to_peer.site_timeout {
            check_site_timeout(reader, wait, &trunk.name, bound);
        }
    }

    /// What a number is that is no trunk.
    fn kind_of(&self, number: &str) -> Option<&'static str> {
        let declared = self.extensions.iter().find(|declared| declared.holds(number));
        declared.map(|declared| declared.kind().title()).or_else(|| self.floor.kind_of(number))
    }
}

/// A desktop that asks for its login before this server has noticed the loss is refused while the phone is on its way.
fn check_site_timeout(reader: &Reader, wait: &Located<u64>, trunk: &str, bound: u64) {
    if wait.value == 0 || wait.value >= bound {
        return;
    }
    let text = format!(
        "`site-timeout` of [desktop] is {}, less than the {bound} s (oos-check + oos-force of \"{trunk}\") in which the \
         loss of the peer is noticed",
        wait.value
    );
    let hint = format!(
        "make it {bound} or more, or probe the trunk more often; 0 if desktops never move by themselves"
    );
    reader.fault(wait.at.clone(), text, hint);
}
