//! `tripline access`

use std::time::Duration;

use super::Exit;
use super::config::ConfigFile;
use crate::clients::{AccessTable, MARKS, marks_of_workers};
use crate::config::{Stream, duration};
use crate::monitor::utc;
use crate::record::Timestamp;
use crate::shell::access::access;
use crate::shell::clock;
use crate::shell::kafka::Clients;

/// Say who came to a stream, when, from where and how often, by pseudonym
///
/// Reads the topic of visits; as CSV, those who sent most first. `tripline client` says the pseudonym of an id.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    config: ConfigFile,
    /// The stream, if there are several
    #[arg(short, long)]
    stream: Option<String>,
    /// How long to look back: 30m, 24h, 7d
    #[arg(long, value_parser = duration, default_value = "24h")]
    since: Duration,
    /// Clients that are printed
    #[arg(long, default_value_t = 1000)]
    most: usize,
}

impl Args {
    pub fn run(self) -> Exit {
        let Some(config) = self.config.read_for(&["kafka"]) else { return Exit::Config };
        let wanted = |stream: &&Stream| match &self.stream {
            Some(name) => stream.name == *name,
            None => stream.clients.is_some(),
        };
        let streams: Vec<&Stream> = config.streams.iter().filter(wanted).collect();
        let [stream] = streams[..] else {
            eprintln!(
                "error: name one stream with --stream; [stream.clients] must be enabled in it"
            );
            return Exit::Config;
        };
        let clients = Clients::new(config.kafka.clone(), &config.instance);
        let since = Timestamp(clock::now().0 - self.since.as_millis() as i64);
        match access(&clients, stream, since) {
            Ok((table, whole)) => {
                print!("{}", csv(&table, self.most));
                if !whole {
                    eprintln!("warning: there are more visits than could be read in time");
                }
                Exit::Ok
            }
            Err(error) => {
                eprintln!("error: {error}");
                Exit::Failed
            }
        }
    }
}

/// A line per client. What needs more than one row is found by the client monitor, and stands in its findings.
fn csv(table: &AccessTable, most: usize) -> String {
    let marks: Vec<usize> = marks_of_workers().collect();
    let names: Vec<&str> = marks.iter().map(|&i| MARKS[i].name()).collect();
    let mut text = format!("pseudonym,first,last,rows,{},origins,hours\n", names.join(","));
    for (name, access) in table.by_rows().into_iter().take(most) {
        let marked: Vec<String> = marks.iter().map(|&i| access.marked[i].to_string()).collect();
        text += &format!(
            "{name},{},{},{},{},{},{}\n",
            utc(access.first),
            utc(access.last),
            access.rows,
            marked.join(","),
            access.origins.len(),
            access.hours_in_words()
        );
    }
    for (who, rows) in [("(nobody)", table.anonymous), ("(others)", table.others)] {
        if rows > 0 {
            text += &format!("{who},,,{rows}{},,\n", ",".repeat(marks.len()));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clients::{ClientName, RowVisit, VisitWindow, Visits};
    use crate::record::{Offset, Partition};

    #[test]
    fn a_line_has_as_many_cells_as_the_first() {
        let mut table = AccessTable::default();
        let visit = |client| RowVisit { client, marks: 2, ..RowVisit::default() };
        let visits = vec![visit(Some(ClientName(255))), visit(None)];
        let window = VisitWindow { window: Timestamp(1_700_000_000_000), visits };
        table.add(
            &Visits {
                baseline: "b".into(),
                partition: Partition(0),
                from: Offset(0),
                to: Offset(2),
                begins: true,
                head: Timestamp(0),
                read_out: false,
                windows: vec![window],
            },
            Timestamp(0),
        );
        let text = csv(&table, 10);
        let cells: Vec<usize> = text.lines().map(|line| line.split(',').count()).collect();
        assert_eq!(cells, [9; 3], "{text}");
        let client = "00000000000000ff,2023-11-14T22:13:20Z,2023-11-14T22:13:20Z,1,1,0,0,0,22";
        assert_eq!(text.lines().nth(1), Some(client));
    }
}
