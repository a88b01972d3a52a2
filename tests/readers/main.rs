//! One reading: what Tripline scores is what the model's server reads, or it is a fault.
//!
//! `table.md` has the tricks that we know, what each real reader makes of them, and what we do. The
//! differ makes requests nobody thought of: whatever a reader and we both take, we read alike.
//!
//!     cargo test --test readers                       the table, and 20,000 requests
//!     RUNS=1000000 cargo test --test readers differ   a million; SEED=7 begins elsewhere

#![allow(clippy::disallowed_methods, reason = "tests measure and wait")]

mod differ;
mod generate;
mod ours;
mod reader;
mod record;
mod table;
mod tricks;

use reader::Readers;

#[test]
fn no_reader_reads_an_attack_that_we_pass_and_the_table_says_what_each_reads() {
    let table = table::Table::of(tricks::all(), &mut Readers::start());
    table.check_snapshot();
    table.check();
}

#[test]
fn differ_whatever_a_reader_and_we_both_take_is_read_alike() {
    let number = |name: &str, default: u64| {
        std::env::var(name).map_or(default, |text| text.parse().expect(name))
    };
    differ::run(number("RUNS", 20_000), number("SEED", 20_261_128));
}
