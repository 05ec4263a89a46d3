//! Reads tables key by key. What a key may hold is said where it is read, so a fault can say it too; keys that nobody
//! asked for are unknown. Reading goes on after a fault, so that one run reports them all.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ops::{Range, RangeInclusive};

use serde_spanned::Spanned;
use toml::de::{DeTable, DeValue};

use super::closest::closest;
use super::fault::{At, Fault, is_secret};

/// What all tables of one configuration share.
#[derive(Debug, Default)]
pub struct Reader {
    faults: RefCell<Vec<Fault>>,
    /// Every (table, key) that was asked for, and whether it was there.
    asked: RefCell<BTreeSet<(String, &'static str, bool)>>,
}

impl Reader {
    /// Notes a fault.
    pub fn fault(&self, at: At, text: impl Into<String>, hint: impl Into<String>) {
        self.faults.borrow_mut().push(Fault { at, text: text.into(), hint: hint.into() });
    }

    /// Whether nothing is wrong so far.
    pub fn is_clean(&self) -> bool {
        self.faults.borrow().is_empty()
    }

    /// Everything that is wrong.
    pub fn into_faults(self) -> Vec<Fault> {
        self.faults.into_inner()
    }

    /// Every (table, key) that was asked for, and whether it was there.
    #[cfg(test)]
    pub fn asked(&self) -> BTreeSet<(String, &'static str, bool)> {
        self.asked.borrow().clone()
    }
}

/// A value and its place.
#[derive(Clone, Debug)]
pub struct Located<T> {
    /// The value.
    pub value: T,
    /// Where it stands.
    pub at: At,
}

/// One table being read.
pub struct Section<'a> {
    reader: &'a Reader,
    /// How it is written: `[TServer]`, `[[trunk]]`.
    title: &'static str,
    table: &'a DeTable<'a>,
    at: At,
    asked: BTreeSet<&'static str>,
}

impl<'a> Section<'a> {
    /// A table about to be read.
    pub fn new(reader: &'a Reader, title: &'static str, table: &'a DeTable<'a>, at: At) -> Self {
        Self { reader, title, table, at, asked: BTreeSet::new() }
    }

    /// Where the table stands.
    pub fn at(&self) -> At {
        self.at.clone()
    }

    fn at_span(&self, span: Range<usize>) -> At {
        At { file: self.at.file, span }
    }

    fn get(&mut self, key: &'static str) -> Option<&'a Spanned<DeValue<'a>>> {
        self.asked.insert(key);
        let value = self.table.get(key);
        self.reader.asked.borrow_mut().insert((self.title.to_owned(), key, value.is_some()));
        value
    }

    fn wrong(&self, key: &str, value: &Spanned<DeValue<'_>>, expected: &str) {
        let value_text = if is_secret(key) { "of this kind".to_owned() } else { describe(value.get_ref()) };
        let text = format!("`{key}` of {} cannot be {value_text}", self.title);
        self.reader.fault(self.at_span(value.span()), text, format!("expected {expected}"));
    }

    /// A whole number within `range`.
    pub fn integer(&mut self, key: &'static str, range: RangeInclusive<u64>) -> Option<Located<u64>> {
        let value = self.get(key)?;
        let number =
            value.get_ref().as_integer().and_then(|n| u64::from_str_radix(n.as_str(), n.radix()).ok());
        match number {
            Some(number) if range.contains(&number) => {
                Some(Located { value: number, at: self.at_span(value.span()) })
            }
            Some(_) | None => {
                self.wrong(key, value, &format!("a whole number from {} to {}", range.start(), range.end()));
                None
            }
        }
    }

    /// `true` or `false`.
    pub fn boolean(&mut self, key: &'static str) -> Option<bool> {
        let value = self.get(key)?;
        let found = value.get_ref().as_bool();
        if found.is_none() {
            self.wrong(key, value, "true or false");
        }
        found
    }

    /// A string that `read` understands; its error says what is wrong.
    pub fn parsed<T>(
        &mut self,
        key: &'static str,
        expected: &str,
        read: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<Located<T>> {
        let value = self.get(key)?;
        let Some(text) = value.get_ref().as_str() else {
            self.wrong(key, value, expected);
            return None;
        };
        self.understood(key, text, value, expected, read)
    }

    fn understood<T>(
        &self,
        key: &str,
        text: &str,
        value: &Spanned<DeValue<'_>>,
        expected: &str,
        read: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<Located<T>> {
        match read(text) {
            Ok(found) => Some(Located { value: found, at: self.at_span(value.span()) }),
            Err(why) => {
                let text = format!("`{key}` of {}: {why}", self.title);
                self.reader.fault(self.at_span(value.span()), text, format!("expected {expected}"));
                None
            }
        }
    }

    /// A non-empty string.
    pub fn string(&mut self, key: &'static str) -> Option<Located<String>> {
        self.parsed(key, "a non-empty string", |text| match text {
            "" => Err("is empty".to_owned()),
            text => Ok(text.to_owned()),
        })
    }

    /// One of a few words.
    pub fn choice<T: Copy>(&mut self, key: &'static str, words: &[(&str, T)]) -> Option<T> {
        let list = words.iter().map(|(word, _)| format!("\"{word}\"")).collect::<Vec<_>>().join(", ");
        let expected = format!("one of {list}");
        let found = self.parsed(key, &expected, |text| {
            words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value).ok_or_else(|| {
                let meant = closest(text, words.iter().map(|(word, _)| *word));
                let meant = meant.map(|word| format!("; did you mean \"{word}\"?")).unwrap_or_default();
                format!("\"{text}\" is not a value of it{meant}")
            })
        })?;
        Some(found.value)
    }

    /// One of a few words, of which "true" and "false" may also be written without quotes.
    pub fn switch<T: Copy>(&mut self, key: &'static str, words: &[(&str, T)]) -> Option<T> {
        let bare = self.table.get(key).and_then(|value| value.get_ref().as_bool());
        match bare {
            Some(bare) => {
                self.get(key)?;
                let word = if bare { "true" } else { "false" };
                words.iter().find(|(known, _)| *known == word).map(|(_, value)| *value)
            }
            None => self.choice(key, words),
        }
    }

    /// Whole numbers under keys of their own: `{ german = 5, sales = 3 }`.
    pub fn levels(
        &mut self,
        key: &'static str,
        range: &RangeInclusive<u32>,
    ) -> Option<Vec<(String, Located<u32>)>> {
        let value = self.get(key)?;
        let expected =
            format!("whole numbers from {} to {}, written {{ name = 5 }}", range.start(), range.end());
        let Some(table) = value.get_ref().as_table() else {
            self.wrong(key, value, &expected);
            return None;
        };
        let mut found = Vec::new();
        for (name, item) in table.iter() {
            let level = item.get_ref().as_integer();
            let level = level.and_then(|n| u32::from_str_radix(n.as_str(), n.radix()).ok());
            match level.filter(|level| range.contains(level)) {
                Some(level) => {
                    let at = self.at_span(item.span());
                    found.push((name.get_ref().to_string(), Located { value: level, at }));
                }
                None => self.wrong(key, item, &expected),
            }
        }
        Some(found)
    }

    /// Whether a string stands under the key.
    pub fn is_string(&self, key: &str) -> bool {
        self.table.get(key).is_some_and(|value| value.get_ref().as_str().is_some())
    }

    /// Notes a fault.
    pub fn fault(&self, at: At, text: impl Into<String>, hint: impl Into<String>) {
        self.reader.fault(at, text, hint);
    }

    /// A list of strings, each of which `read` understands. One string stands for a list of one.
    pub fn list<T>(
        &mut self,
        key: &'static str,
        expected: &str,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Option<Vec<Located<T>>> {
        let value = self.get(key)?;
        let items: Vec<&Spanned<DeValue<'_>>> = match value.get_ref() {
            DeValue::Array(array) => array.iter().collect(),
            DeValue::String(_)
            | DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_)
            | DeValue::Table(_) => vec![value],
        };
        let mut found = Vec::new();
        for item in items {
            match item.get_ref().as_str() {
                Some(text) => found.extend(self.understood(key, text, item, expected, &read)),
                None => self.wrong(key, item, &format!("a list of strings, each {expected}")),
            }
        }
        Some(found)
    }

    /// Whether the key stands in the table.
    pub fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// Faults if `value` is not there although its key must be.
    pub fn required<T>(&mut self, key: &'static str, value: Option<T>, example: &str) -> Option<T> {
        if value.is_none() && !self.table.contains_key(key) {
            self.reader.fault(
                self.at(),
                format!("`{key}` is missing in {}", self.title),
                format!("add {key} = {example}"),
            );
        }
        value
    }

    /// The table under `key`.
    pub fn table(&mut self, key: &'static str, title: &'static str) -> Option<Section<'a>> {
        let value = self.get(key)?;
        match value.get_ref().as_table() {
            Some(table) => Some(Section::new(self.reader, title, table, self.at_span(value.span()))),
            None => {
                self.wrong(key, value, &format!("a table, written {title}"));
                None
            }
        }
    }

    /// The tables under `key`, in their order.
    pub fn tables(&mut self, key: &'static str, title: &'static str) -> Vec<Section<'a>> {
        let Some(value) = self.get(key) else { return Vec::new() };
        let Some(array) = value.get_ref().as_array() else {
            self.wrong(key, value, &format!("tables, each written {title}"));
            return Vec::new();
        };
        let mut sections = Vec::new();
        for item in array.iter() {
            match item.get_ref().as_table() {
                Some(table) => {
                    sections.push(Section::new(self.reader, title, table, self.at_span(item.span())));
                }
                None => self.wrong(key, item, &format!("a table, written {title}")),
            }
        }
        sections
    }

    /// Every key that nobody asked for is a fault.
    pub fn finish(self) {
        for key in self.table.keys().filter(|key| !self.asked.contains(key.get_ref().as_ref())) {
            let name = key.get_ref();
            let hint = match closest(name, self.asked.iter().copied()) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => {
                    let known: Vec<&str> = self.asked.iter().copied().collect();
                    format!("known keys: {}", known.join(", "))
                }
            };
            let text = format!("`{name}` is not a key of {}", self.title);
            self.reader.fault(self.at_span(key.span()), text, hint);
        }
    }
}

/// A value in an error message. Strings are not repeated: they may be secrets, and the excerpt shows the line anyway.
fn describe(value: &DeValue<'_>) -> String {
    match value {
        DeValue::Integer(number) => format!("the number {number}"),
        DeValue::Float(number) => format!("the number {number}"),
        DeValue::Boolean(truth) => truth.to_string(),
        DeValue::String(_) => "a string".to_owned(),
        DeValue::Datetime(_) => "a date".to_owned(),
        DeValue::Array(_) => "a list".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    }
}
