//! Options of event notification: who may watch whom and take what rings there, and where mailboxes are.

use tandem_switch::directory::{EventOptions, Pickup, Watchers};

use super::numbers;
use super::reader::{Located, Reader, Section};

/// Those of `[TServer]`; `mwi-source` is looked up when all objects are known.
pub fn read(reader: &Reader, table: &mut Section<'_>) -> (EventOptions, Option<Located<String>>) {
    let usual = EventOptions::default();
    let options = EventOptions {
        dialog_watchers: watchers(reader, table).unwrap_or(usual.dialog_watchers),
        call_pickup: pickup(table).unwrap_or(usual.call_pickup),
        mwi_source: None,
        mwi_implicit_notify: table.boolean("mwi-implicit-notify").unwrap_or(usual.mwi_implicit_notify),
    };
    (options, table.string("mwi-source"))
}

/// `dialog-watchers`, at the Application or at an Extension.
pub fn watchers(reader: &Reader, table: &mut Section<'_>) -> Option<Watchers> {
    let expected = "\"everyone\", \"own\", or numbers and ranges such as \"1001-1010\"";
    let words = table.list("dialog-watchers", expected, |word| match word {
        "everyone" | "own" => Ok(Word::Alone(word.to_owned())),
        numbers => numbers::expand(numbers).map(Word::Numbers),
    })?;
    let mut only: Vec<Box<str>> = Vec::new();
    for word in &words {
        match &word.value {
            Word::Alone(name) if words.len() > 1 => {
                let text = format!("`dialog-watchers`: \"{name}\" stands beside others");
                reader.fault(word.at.clone(), text, "it stands alone");
                return None;
            }
            Word::Alone(name) if name == "everyone" => return Some(Watchers::Everyone),
            Word::Alone(_) => return Some(Watchers::Own),
            Word::Numbers(numbers) => only.extend(numbers.iter().map(|number| Box::from(&**number))),
        }
    }
    only.sort_unstable();
    only.dedup();
    Some(Watchers::Only(only.into()))
}

/// `call-pickup`, at the Application or at an Extension.
pub fn pickup(table: &mut Section<'_>) -> Option<Pickup> {
    const PICKUP: [(&str, Pickup); 3] =
        [("named", Pickup::Named), ("watchers", Pickup::Watchers), ("own", Pickup::Own)];
    table.choice("call-pickup", &PICKUP)
}

enum Word {
    Alone(String),
    Numbers(Vec<String>),
}
