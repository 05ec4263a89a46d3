//! Bytes of a session description: what is printed of one can be read again and says the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tandem_sip::{Direction, Sdp};

fuzz_target!(|bytes: &[u8]| {
    let Ok(sdp) = Sdp::parse(bytes) else { return };
    let _ = (sdp.direction(), sdp.is_hold());
    for way in [Direction::SendRecv, Direction::SendOnly, Direction::RecvOnly, Direction::Inactive] {
        let printed = sdp.with_direction(way);
        let again = Sdp::parse(&printed).expect("what is printed can be read");
        assert_eq!(again.with_direction(way), printed, "{}", printed.escape_ascii());
    }
});
