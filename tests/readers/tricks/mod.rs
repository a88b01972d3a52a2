//! The tricks of the table: ways to write a record so that readers might read it differently.

mod events;
mod json;
mod kserve_v1;
mod oip_json;
mod oip_protobuf;

use super::record::{ATTACK, CLEAN, Record, Row};

/// One way of writing. `records` has it twice: with the clean row in the first place and the attack in
/// the second, and the other way round. Where there is one place only, it is a clean row and an attack.
pub struct Trick {
    pub codec: &'static str,
    pub name: String,
    /// Lines of the stream's configuration.
    pub settings: &'static str,
    pub records: [Record; 2],
    /// Why a reader may read something else although we pass the record.
    pub why: Option<&'static str>,
}

/// Takes tricks of one codec.
pub struct Book {
    codec: &'static str,
    settings: &'static str,
    pub tricks: Vec<Trick>,
}

impl Book {
    fn new(codec: &'static str) -> Self {
        Self { codec, settings: "", tricks: vec![] }
    }

    /// A record with two places for a row.
    fn two<R: Into<Record>>(&mut self, name: &str, make: impl Fn(&Row, &Row) -> R) {
        let records = [make(&CLEAN, &ATTACK).into(), make(&ATTACK, &CLEAN).into()];
        let (codec, settings) = (self.codec, self.settings);
        let name = name.to_owned();
        self.tricks.push(Trick { codec, name, settings, records, why: None });
    }

    /// A record with one place for a row.
    fn one<R: Into<Record>>(&mut self, name: &str, make: impl Fn(&Row) -> R) {
        self.two(name, |row, _| make(row));
    }

    /// What follows goes to a stream with these settings.
    fn on(&mut self, settings: &'static str) {
        self.settings = settings;
    }

    /// Says of the last trick why a reader may read something else.
    fn why(&mut self, why: &'static str) {
        self.tricks.last_mut().expect("a trick").why = Some(why);
    }
}

/// All of them.
pub fn all() -> Vec<Trick> {
    let books = [
        json::tricks(),
        kserve_v1::tricks(),
        oip_json::tricks(),
        oip_protobuf::tricks(),
        events::tricks(),
        events::auto(),
    ];
    books.into_iter().flat_map(|book| book.tricks).collect()
}
