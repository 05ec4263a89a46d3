//! The order in which servers are tried for one request (RFC 2782, "Usage rules"; RFC 3263 4.2).

use smallvec::SmallVec;

use super::Candidate;
use crate::limits::MAX_LOCATED;

/// Places of `candidates` in the order in which this request tries them: lower priority numbers first, and among equals
/// drawn by weight. `draw(n)` gives a number from 0 to n, each as likely.
#[must_use]
pub fn order(candidates: &[Candidate], mut draw: impl FnMut(u32) -> u32) -> SmallVec<[u8; MAX_LOCATED]> {
    let mut records: SmallVec<[(u16, u16, u8); MAX_LOCATED]> = SmallVec::new();
    for candidate in candidates {
        let record = (candidate.priority, candidate.weight, candidate.record);
        if !records.contains(&record) {
            records.push(record);
        }
    }
    // Those of weight 0 stand first, so that they have a chance when the draw is 0.
    records.sort_unstable();
    let mut ordered = SmallVec::new();
    while let Some((priority, ..)) = records.first().copied() {
        let level = records.iter().take_while(|record| record.0 == priority);
        let (count, sum) = level.fold((0, 0), |(n, sum), record| (n + 1, sum + u32::from(record.1)));
        let drawn = if count > 1 { draw(sum) } else { 0 };
        let mut running = 0;
        let chosen = records.iter().position(|record| {
            running += u32::from(record.1);
            running >= drawn
        });
        let (.., record) = records.remove(chosen.unwrap_or(0).min(count - 1));
        let of_record = (0u8..).zip(candidates).filter(|(_, candidate)| candidate.record == record);
        ordered.extend(of_record.map(|(place, _)| place));
    }
    ordered
}
