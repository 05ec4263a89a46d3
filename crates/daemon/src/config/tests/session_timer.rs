//! Session timers of the Application and of DNs.

use tandem_switch::directory::{DnId, SessionTimerMode, TrunkId};
use tandem_switch::rooms::Device;

use super::{load_text, report};

#[test]
fn a_dn_says_what_differs_from_the_application() {
    let extra = "session-timer = \"required\"\nsession-refresh-interval = 600\n\
                 [[trunk]]\nname = \"gw\"\ncontact = \"sip:192.0.2.1\"\nsession-timer = \"off\"\nmin-se = 700\n\
                 [[extension]]\nnumber = \"2100\"\nsession-refresh-interval = 90\n";
    let directory = load_text(extra).unwrap().directory;
    let of = |device| directory.session_timer(device);
    let trunk = of(Device::Trunk(TrunkId(0)));
    assert_eq!((trunk.mode, trunk.interval_s, trunk.min_se_s), (SessionTimerMode::Off, 700, 700));
    let phone = of(Device::Extension(DnId(0)));
    assert_eq!((phone.mode, phone.interval_s, phone.min_se_s), (SessionTimerMode::Required, 90, 90));
    let mixer = of(Device::Mixer);
    assert_eq!((mixer.mode, mixer.interval_s), (SessionTimerMode::Required, 600));
}

#[test]
fn what_no_session_can_be_is_refused_in_words() {
    for (extra, told) in [
        ("session-refresh-interval = 89\n", "from 90 to 86400"),
        ("session-timer = \"yes\"\n", "\"off\", \"on\", \"required\""),
        (
            "session-refresh-interval = 100\nmin-se = 101\n",
            "`session-refresh-interval` 100 is shorter than `min-se` 101",
        ),
    ] {
        assert!(report(extra).contains(told), "{extra}: {}", report(extra));
    }
}
