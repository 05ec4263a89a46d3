//! What a trunk is told, and believed, of who calls.

use tandem_switch::directory::TrunkIdentity;

use super::reader::Section;

/// The options of one `[[trunk]]`.
pub fn read(table: &mut Section<'_>) -> TrunkIdentity {
    let usual = TrunkIdentity::default();
    TrunkIdentity { trusted: table.boolean("trusted").unwrap_or(usual.trusted) }
}
