//! What has statistics, and how it is named: `agent:2001`, `place:desk-7`, `group:sales`, `queue:site-a:7000`,
//! `site:site-a`.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// An object of statistics.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Object {
    /// A site.
    Site(Arc<str>),
    /// An ACD Queue or Routing Point of a site.
    Queue(Arc<str>, Arc<str>),
    /// An agent group, over all sites.
    Group(Arc<str>),
    /// An agent, over all sites.
    Agent(Arc<str>),
    /// A place.
    Place(Arc<str>),
}

impl Object {
    /// What kind it is: the word before the first colon.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Site(_) => "site",
            Self::Queue(..) => "queue",
            Self::Group(_) => "group",
            Self::Agent(_) => "agent",
            Self::Place(_) => "place",
        }
    }
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Queue(site, number) => write!(f, "queue:{site}:{number}"),
            Self::Site(name) | Self::Group(name) | Self::Agent(name) | Self::Place(name) => {
                write!(f, "{}:{name}", self.kind())
            }
        }
    }
}

impl FromStr for Object {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const SHAPE: &str = "an object is agent:ID, place:NAME, group:NAME, queue:SITE:NUMBER or site:NAME";
        let (kind, name) = text.split_once(':').ok_or(SHAPE)?;
        if name.is_empty() {
            return Err(SHAPE);
        }
        match kind {
            "site" => Ok(Self::Site(name.into())),
            "group" => Ok(Self::Group(name.into())),
            "agent" => Ok(Self::Agent(name.into())),
            "place" => Ok(Self::Place(name.into())),
            "queue" => {
                let (site, number) = name.rsplit_once(':').ok_or(SHAPE)?;
                let named = !site.is_empty() && !number.is_empty();
                named.then(|| Self::Queue(site.into(), number.into())).ok_or(SHAPE)
            }
            _ => Err(SHAPE),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_can_be_read() {
        for text in ["agent:2001", "place:desk 7", "group:a:b", "queue:site-a:7000", "site:site-a"] {
            assert_eq!(text.parse::<Object>().unwrap().to_string(), text);
        }
        for text in ["", "agent", "agent:", "queue:7000", "queue::7000", "queue:site-a:", "dn:1"] {
            assert!(text.parse::<Object>().is_err(), "{text}");
        }
    }
}
