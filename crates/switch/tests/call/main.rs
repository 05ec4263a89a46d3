//! Calls as a SIP engineer sees them: messages in, messages out, and what is left.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

#[path = "../support/mod.rs"]
mod support;

mod anchored;
mod anchored_restart;
mod anchored_takers;
mod answered_by_request;
mod arrange;
mod audit;
mod basic;
mod cancel;
mod capacity;
mod carried;
mod connections;
mod disorder;
mod early;
mod floor;
mod flows;
mod fork;
mod forwarding;
mod gruu;
mod headers;
mod hold;
mod holds;
mod identity;
mod join;
mod made;
mod music;
mod nailed;
mod news;
mod offer_answer;
mod onward;
mod pickup;
mod player;
mod records;
mod redirect;
mod refer;
mod refusals;
mod reinvite;
mod reliable;
mod rfc3665;
mod secure;
mod session_id;
mod session_timer;
mod setup;
mod standing;
mod steered;
mod storms;
mod suspects;
mod takeover;
mod targets;
mod teardown;
mod tone;
mod transfer;
mod trunks;
mod update;
mod waiting;
