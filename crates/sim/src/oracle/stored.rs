//! Nothing is told to the outside that was not stored first: a 200 to a REGISTER that changes bindings waits for the
//! committer.

use std::collections::{BTreeMap, BTreeSet};

use crate::text::Text;

/// A REGISTER by Call-ID and CSeq number.
type Request = (String, u32);

/// What one server stored.
#[derive(Debug, Default)]
pub struct Stored {
    current: Option<Request>,
    stores: BTreeMap<Request, u64>,
    persisted: u64,
    /// REGISTERs that must not be answered with 200 before something was stored.
    owed: BTreeSet<Request>,
    told: BTreeSet<Request>,
}

fn request(text: &Text) -> Option<Request> {
    let (number, method) = text.cseq()?;
    (method == "REGISTER").then(|| (text.call_id().to_owned(), number))
}

impl Stored {
    /// A request came; what is stored next is stored because of it.
    pub fn request_came(&mut self, text: &Text) {
        // Taking away what is not there changes nothing.
        let adds = text.get("Contact").is_some() && text.get("Expires") != Some("0");
        self.current = request(text).filter(|_| adds);
        if let Some(request) = self.current.clone().filter(|request| !self.told.contains(request)) {
            self.owed.insert(request);
        }
    }

    /// A batch went to the committer.
    pub fn store(&mut self, seq: u64) {
        if let Some(request) = self.current.clone() {
            self.stores.insert(request, seq);
        }
    }

    /// The request that came last has been dealt with.
    pub fn handled(&mut self) {
        self.current = None;
    }

    /// The committer confirmed everything up to here.
    pub fn persisted(&mut self, seq: u64) {
        self.persisted = self.persisted.max(seq);
    }

    /// A response is sent.
    pub fn response_sent(&mut self, text: &Text, found: &mut Vec<String>) {
        let Some(request) = request(text).filter(|_| text.code() == Some(200)) else { return };
        if !self.owed.remove(&request) {
            return;
        }
        self.told.insert(request.clone());
        match self.stores.remove(&request) {
            Some(seq) if seq <= self.persisted => {}
            Some(seq) => found.push(format!("a 200 to REGISTER before batch {seq} was committed")),
            None => found.push("a 200 to REGISTER for which nothing was stored".into()),
        }
    }
}
