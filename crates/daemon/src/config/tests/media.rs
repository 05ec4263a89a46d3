//! `[media]`.

use super::{load_text, report};

#[test]
fn media_without_an_engine_is_an_error_that_says_what_to_do() {
    let told = report("[media]\nrtpengine = []\n");
    assert!(told.contains("`rtpengine` of [media] is empty") && told.contains("leave [media] out"), "{told}");
    let told = report("[media]\n");
    assert!(told.contains("`rtpengine` is missing in [media]"), "{told}");
    let told = report("[media]\nrtpengine = [\"nonsense\"]\n");
    assert!(told.contains("\"nonsense\" is not address:port") && !told.contains("is empty"), "{told}");
    let media = load_text("[media]\nrtpengine = [\"127.0.0.1:22222\"]\n").unwrap().settings.media.unwrap();
    assert_eq!(media.engines, ["127.0.0.1:22222".parse().unwrap()]);
}
