//! Random histories: each is different, each can be replayed, and none breaks a rule.
#![allow(clippy::panic)]

use tandem_sim::chaos;

fn keep_every_rule(floor: bool) {
    let broken: Vec<_> = (0..500).filter_map(|seed| chaos::run(seed, 1.0, floor, false).err()).collect();
    if let Some(first) = broken.first() {
        let seeds: Vec<_> = broken.iter().map(|f| (f.seed, f.violation.text.clone())).collect();
        let flag = if floor { " --floor" } else { "" };
        panic!(
            "{first}\n{} seeds broke a rule: {seeds:#?}\nreplay: cargo run -p tandem-sim -- --seed {} --minutes 1{flag} --trace",
            broken.len(),
            first.seed
        );
    }
}

#[test]
fn five_hundred_seeds_keep_every_rule() {
    keep_every_rule(false);
}

#[test]
fn five_hundred_seeds_with_agents_and_queues_keep_every_rule() {
    keep_every_rule(true);
}

#[test]
fn one_seed_gives_one_history() {
    for seed in [1, 2, 3] {
        let [one, two] = [(); 2].map(|()| chaos::run(seed, 2.0, seed == 2, false).map(|s| (s.hash, s.lines)));
        assert_eq!(one.map_err(|f| f.to_string()), two.map_err(|f| f.to_string()));
    }
}

#[test]
fn two_seeds_give_two_histories() {
    let [one, two] =
        [11, 12].map(|seed| chaos::run(seed, 0.5, false, false).map(|s| s.hash).map_err(|f| f.to_string()));
    assert_ne!(one, two);
}
