//! A whole node under bytes: its parties' acts are read from the fuzzer's input, so that it finds its way into calls.

mod bytes_of;
mod hall;

pub use hall::run;
