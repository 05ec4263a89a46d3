//! Statistics of agents, places, groups, queues and sites, made from the events that clients of the CTI interface hear.
//!
//! [`Stat`] is a function of the streams of events that it is told: the same events give the same statistics, the same
//! history rows and the same facts to keep, whoever counts and how often it is started in between. Times come from the
//! events; the caller's clock only ends what a window of time covers. `docs/statistics.md` explains every figure.

mod agents;
mod calls;
mod count;
mod fact;
mod layout;
pub mod limits;
mod model;
mod object;
mod row;
mod snapshot;
mod station;
mod status;
mod stream;
mod view;
mod wait;

pub use count::Counts;
pub use fact::Fact;
pub use layout::{GroupLayout, Layout, PlaceLayout, QueueKind, QueueLayout, SiteLayout};
pub use model::{Heard, Stat};
pub use object::Object;
pub use row::{Outcome, Row};
pub use status::Status;
pub use stream::Position;
pub use view::{Figures, View};
