//! `[ha]`: how the servers of one site stand in for each other.

use std::path::PathBuf;

use tandem_switch::directory::Listen;

use super::address::{self, VirtualAddress};
use super::members::{self, PairSettings};
use super::reader::{Reader, Section};

/// How the servers of one site stand in for each other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HaSettings {
    /// The addresses that move between them; `None`: none does.
    pub address: Option<VirtualAddress>,
    /// Where this server keeps what it must not forget; `None`: where the environment says.
    pub state_directory: Option<PathBuf>,
    /// When something counts as kept.
    pub durability: Durability,
    /// How it is one of several; `None`: it is alone.
    pub pair: Option<PairSettings>,
}

/// When something counts as kept, and may be answered for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// Once a power loss cannot take it back.
    #[default]
    Committed,
    /// Once the end of the process cannot take it back.
    Eager,
    /// At once: nothing is written, and a restart begins with nothing.
    None,
}

/// Reads the table if it is there.
pub fn read(reader: &Reader, root: &mut Section<'_>, listen: &[Listen]) -> HaSettings {
    let Some(mut table) = root.table("ha", "[ha]") else { return HaSettings::default() };
    let address = address::read(reader, &mut table, listen);
    let state_directory =
        table.parsed("state-directory", "a path such as \"/var/lib/tandem/site-a\"", absolute);
    const WORDS: [(&str, Durability); 3] =
        [("committed", Durability::Committed), ("eager", Durability::Eager), ("none", Durability::None)];
    let durability = table.choice("durability", &WORDS).unwrap_or_default();
    let pair = members::read_pair(reader, &mut table);
    if pair.is_some() && durability == Durability::None {
        let text = "`durability` of [ha] is \"none\", and others rely on what this member promises";
        reader.fault(table.at(), text, "\"committed\" or \"eager\"; \"none\" is for a server alone");
    }
    table.finish();
    HaSettings { address, state_directory: state_directory.map(|found| found.value), durability, pair }
}

/// What a relative path counts from is anybody's guess: systemd starts a server in `/`.
pub(super) fn absolute(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    if path.is_absolute() { Ok(path) } else { Err(format!("\"{text}\" does not begin with /")) }
}
