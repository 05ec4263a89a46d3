//! Lists that are as long as the configuration: shown in pages, so that no question holds up calls.

use super::Node;
use crate::directory::{DnId, TrunkId};
use crate::rooms::Device;
use crate::routing;
use crate::time::Now;
use crate::view;

/// Before the name of a Trunk, where a page goes on behind it.
const TRUNK: &str = "trunk:";

impl Node {
    /// A page of `tandem dn list`: at most `limit` rows behind `after`, the number of an Extension or `trunk:` and the name of a
    /// Trunk. `None`: there is no such DN.
    #[must_use]
    pub fn dn_page(&self, after: Option<&str>, limit: usize) -> Option<Vec<view::Dn>> {
        let directory = &self.rooms.directory;
        let (extension, trunk) = match after {
            None => (0, 0),
            Some(after) => match after.strip_prefix(TRUNK) {
                Some(name) => (directory.extensions().len(), directory.trunk_named(name)?.0 as usize + 1),
                None => (directory.find(after.as_bytes())?.0 as usize + 1, 0),
            },
        };
        let extensions = (0u32..).zip(directory.extensions()).skip(extension).map(|(id, _)| DnId(id));
        let trunks = (0u32..).zip(directory.trunks()).skip(trunk).map(|(id, _)| TrunkId(id));
        let extensions = extensions.filter_map(|id| self.extension_row(id));
        Some(extensions.chain(trunks.filter_map(|id| self.trunk_row(id))).take(limit).collect())
    }

    /// A page of `tandem reg list`: the contacts of the DNs behind `after`, of whole DNs, until there are `limit`. `None`:
    /// there is no such DN.
    #[must_use]
    pub fn reg_page(&self, after: Option<&str>, limit: usize, now: Now) -> Option<Vec<view::Binding>> {
        let directory = &self.rooms.directory;
        let first = match after {
            None => 0,
            Some(after) => directory.find(after.as_bytes())?.0 as usize + 1,
        };
        let mut rows = Vec::new();
        for (id, extension) in (0u32..).zip(directory.extensions()).skip(first) {
            if rows.len() >= limit {
                break;
            }
            self.push_bindings(DnId(id), &extension.number, now, &mut rows);
        }
        Some(rows)
    }

    /// `tandem dn list`, whole.
    #[must_use]
    pub fn dn_list(&self, _now: Now) -> Vec<view::Dn> {
        self.dn_page(None, usize::MAX).unwrap_or_default()
    }

    /// `tandem reg list`, whole.
    #[must_use]
    pub fn reg_list(&self, now: Now) -> Vec<view::Binding> {
        self.reg_page(None, usize::MAX, now).unwrap_or_default()
    }

    fn extension_row(&self, id: DnId) -> Option<view::Dn> {
        let directory = &self.rooms.directory;
        let extension = directory.extension(id)?;
        let fixed = extension.class.contact.is_some();
        let health = self.rooms.trunks.health(Device::Extension(id));
        let contacts = if fixed { 1 } else { self.rooms.registrar.bindings(id).count() };
        let reason = match (fixed, health) {
            (true, Some(health)) => health.reason().to_string(),
            (true, None) => "static contact, not probed".to_owned(),
            (false, _) if contacts > 0 => "registered".to_owned(),
            (false, _) => "not registered".to_owned(),
        };
        let in_service = routing::in_service(&self.rooms, directory, id);
        Some(view::Dn { dn: extension.number.to_string(), kind: "extension", in_service, reason, contacts })
    }

    fn trunk_row(&self, id: TrunkId) -> Option<view::Dn> {
        let trunk = self.rooms.directory.trunk(id)?;
        let health = self.rooms.trunks.health(Device::Trunk(id));
        Some(view::Dn {
            dn: trunk.name.to_string(),
            kind: "trunk",
            in_service: self.rooms.trunks.in_service(id),
            reason: health.map(|health| health.reason().to_string()).unwrap_or_default(),
            contacts: 1,
        })
    }

    fn push_bindings(&self, id: DnId, number: &str, now: Now, rows: &mut Vec<view::Binding>) {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        rows.extend(self.rooms.registrar.bindings(id).map(|binding| view::Binding {
            dn: number.to_owned(),
            contact: text(binding.uri()),
            q: binding.q(),
            expires_s: binding.expires().unix_ms().saturating_sub(now.unix_ms) / 1000,
            reached_at: format!("{} {}", binding.flow().transport, binding.flow().remote),
            call_id: text(binding.call_id()),
            instance: binding.instance().map(text),
            reg_id: Some(binding.reg_id()).filter(|id| *id != 0),
            path: Some(binding.path()).filter(|path| !path.is_empty()).map(text),
            nat: binding.nat(),
            quarantine: binding.quarantine().map(|quarantine| quarantine.why.as_str()),
            removed_in_s:
                binding.quarantine().map(|quarantine| quarantine.until.remaining(now.unix_ms).as_secs()),
        }));
    }
}
