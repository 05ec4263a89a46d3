//! Loses a site in the simulator and tells how long its agents took to work at the other, in the tables of
//! `docs/performance.md`: `cargo run --release -p tandem-sim --example site_loss -- 2000`.

use std::process::ExitCode;

use tandem_sim::site_loss::SiteLoss;
use tandem_sim::ua::Registers;

fn main() -> ExitCode {
    let agents = std::env::args().nth(1).map_or(Ok(2_000), |text| text.parse::<u32>());
    let Ok(agents) = agents else {
        eprintln!("the argument is a number of agents");
        return ExitCode::FAILURE;
    };
    for phones in [Registers::Dual, Registers::ActiveBackup] {
        match SiteLoss::recommended(agents, phones).play() {
            Ok(figures) => println!("{figures}"),
            Err(failure) => {
                eprintln!("{failure}");
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}
