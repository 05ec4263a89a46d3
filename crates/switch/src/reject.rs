//! A request we refuse: the value that becomes the response.

use smallvec::SmallVec;
use tandem_sip::HeaderName;

/// A final response other than 2xx, with the headers that explain it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reject {
    /// 300 to 699.
    pub status: u16,
    /// Own reason phrase; `None` takes the standard's.
    pub reason: Option<&'static str>,
    /// Headers of the response, e.g. `Retry-After`, `Allow`, `WWW-Authenticate`.
    pub headers: SmallVec<[(HeaderName, Box<[u8]>); 2]>,
}

impl Reject {
    /// A refusal with the standard's reason phrase and no further header.
    #[must_use]
    pub fn new(status: u16) -> Self {
        Self { status, reason: None, headers: SmallVec::new() }
    }

    /// The same with an own reason phrase.
    #[must_use]
    pub fn because(status: u16, reason: &'static str) -> Self {
        Self { status, reason: Some(reason), headers: SmallVec::new() }
    }

    /// The same with one more header.
    #[must_use]
    pub fn with(mut self, name: HeaderName, value: impl Into<Vec<u8>>) -> Self {
        self.headers.push((name, value.into().into_boxed_slice()));
        self
    }

    /// 503 with Retry-After: a table is full.
    #[must_use]
    pub fn full() -> Self {
        Self::new(503).with(HeaderName::RetryAfter, crate::limits::RETRY_AFTER_S.to_string())
    }
}
