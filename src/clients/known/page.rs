//! A page of the table of clients: those whose pseudonyms begin alike, and up to which window they are known.

use super::client::{ClientSpell, KnownClient};
use crate::alarm::WindowStart;
use crate::clients::visit::{Bytes, varint};
use crate::record::{Offset, Timestamp};

/// Clients by pseudonym, ascending.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientPage {
    clients: Vec<(u64, KnownClient)>,
    /// Windows that start before this are in what was written last.
    from: WindowStart,
    /// Messages below this were read when it was written last.
    next: Offset,
    /// The first window since then that changed it.
    changed: Option<WindowStart>,
    /// Under which of its two keys that is.
    turn: bool,
}

/// Format version that this build writes and reads.
const VERSION: u64 = 1;

impl Default for ClientPage {
    /// A page without a client, which was never written.
    fn default() -> Self {
        Self { clients: vec![], from: Timestamp(0), next: Offset(0), changed: None, turn: false }
    }
}

impl ClientPage {
    pub fn get(&self, client: u64) -> Option<&KnownClient> {
        self.find(client).ok().map(|at| &self.clients[at].1)
    }

    /// Adds what its clients did in a window; says how many had to go. Windows that it knows are passed over.
    pub fn add(
        &mut self,
        window: WindowStart,
        spells: &[(u64, &ClientSpell)],
        clients_max: usize,
    ) -> u64 {
        if window < self.from {
            return 0;
        }
        for (client, spell) in spells {
            let at = self.find(*client).unwrap_or_else(|at| {
                self.clients.insert(at, (*client, KnownClient::new(window)));
                at
            });
            self.clients[at].1.add(window, spell);
        }
        self.changed.get_or_insert(window);
        self.forget(clients_max)
    }

    /// The longest unseen go; of equals those with the smaller pseudonym.
    fn forget(&mut self, clients_max: usize) -> u64 {
        let over = self.clients.len().saturating_sub(clients_max);
        if over == 0 {
            return 0;
        }
        let age = |(name, client): &(u64, KnownClient)| (client.last_s(), *name);
        let mut ages: Vec<_> = self.clients.iter().map(age).collect();
        let (_, &mut last, _) = ages.select_nth_unstable(over - 1);
        self.clients.retain(|client| age(client) > last);
        over as u64
    }

    fn find(&self, client: u64) -> Result<usize, usize> {
        self.clients.binary_search_by_key(&client, |(name, _)| *name)
    }

    pub fn len(&self) -> usize {
        self.clients.len()
    }

    pub fn next(&self) -> Offset {
        self.next
    }

    pub fn changed_since(&self) -> Option<WindowStart> {
        self.changed
    }

    /// Its bytes, if it changed since they were made last, and under which key: the other one than then. It knows all windows
    /// before `frontier`.
    pub fn write(&mut self, frontier: WindowStart, next: Offset) -> Option<(bool, Vec<u8>)> {
        self.changed.take()?;
        (self.from, self.next, self.turn) = (frontier, next, !self.turn);
        Some((self.turn, self.to_bytes()))
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = vec![];
        varint(&mut out, VERSION);
        varint(&mut out, self.from.0.cast_unsigned());
        varint(&mut out, self.next.0.cast_unsigned());
        varint(&mut out, self.clients.len() as u64);
        for (name, client) in &self.clients {
            out.extend(name.to_le_bytes());
            client.write(&mut out);
        }
        out
    }

    /// The page that was written under this of its two keys.
    ///
    /// # Errors
    /// If the bytes cannot be read, or another build wrote them.
    pub fn read(bytes: &[u8], turn: bool) -> Result<Self, String> {
        let mut read = Bytes(bytes);
        let version = read.varint()?;
        if version != VERSION {
            return Err(format!("a page of version {version}; this build reads {VERSION}"));
        }
        let (from, next) = (Timestamp(read.number()?), Offset(read.number()?));
        let mut clients: Vec<(u64, KnownClient)> = vec![];
        for _ in 0..read.varint()? {
            let name = u64::from_le_bytes(read.array()?);
            if clients.last().is_some_and(|(last, _)| *last >= name) {
                return Err("its clients are out of order".into());
            }
            clients.push((name, KnownClient::read(&mut read)?));
        }
        match read.0.is_empty() {
            true => Ok(Self { clients, from, next, changed: None, turn }),
            false => Err(format!("{} bytes are left over", read.0.len())),
        }
    }
}
