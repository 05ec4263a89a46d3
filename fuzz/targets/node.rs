//! Acts of phones, a gateway, the peer and a stranger against a whole node.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tandem_fuzz::run(bytes));
