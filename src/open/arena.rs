//! Where plaintext of one batch lies.

use std::fmt;

use zeroize::Zeroizing;

/// Plaintext of one batch. It is overwritten before it is used again, and when it goes.
#[derive(Default)]
pub struct Arena {
    pub(super) bytes: Zeroizing<Vec<u8>>,
    /// A protected header, decoded: no secret.
    pub(super) head: Vec<u8>,
}

impl Arena {
    /// Makes room for what `bytes` of sealed values can hold: what grows later would leave copies behind.
    pub fn reserve(&mut self, bytes: usize) {
        if self.bytes.capacity() - self.bytes.len() < bytes {
            // At least twice as much: whoever appends little by little copies each byte few times.
            let more = bytes.max(self.bytes.len());
            let mut larger = Zeroizing::new(Vec::with_capacity(self.bytes.len() + more));
            larger.extend_from_slice(&self.bytes);
            // The one before is overwritten when it goes.
            self.bytes = larger;
        }
    }

    /// Appends without leaving a copy behind.
    pub fn append(&mut self, bytes: &[u8]) {
        self.reserve(bytes.len());
        self.bytes.extend_from_slice(bytes);
    }

    /// Overwrites all that was opened.
    pub fn wipe(&mut self) {
        wipe(&mut self.bytes);
    }

    /// Overwrites what was opened since it was `length` bytes long.
    pub fn wipe_to(&mut self, length: usize) {
        self.bytes[length..].fill(0);
        std::hint::black_box(&mut *self.bytes);
        self.bytes.truncate(length);
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// Overwrites what a buffer holds, and empties it.
pub fn wipe(buffer: &mut Vec<u8>) {
    // Not `zeroize`, which takes a microsecond for each three kilobytes.
    buffer.fill(0);
    std::hint::black_box(&mut *buffer);
    buffer.clear();
}

/// Sizes: what is in it was a record's.
impl fmt::Debug for Arena {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Arena({})", self.bytes.len())
    }
}
