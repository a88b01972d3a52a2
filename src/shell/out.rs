//! What a command prints, while somebody reads it.
//!
//! The standard `println!` panics when its reader has gone (`tripline check | head`). Here a closed
//! pipe changes nothing but the printing: the command goes on, does what it does, and ends with the
//! exit code that it would have had. Any other failure, such as a full disk, is said once, and a
//! command that would have succeeded then fails.
//!
//! The macros below take the place of the standard ones in every module that follows `shell` in
//! `lib.rs`. It cannot see what a library prints by itself (clap, indicatif: neither panics).

use std::fmt;
use std::io::{self, ErrorKind, Write};
use std::sync::atomic::{AtomicBool, Ordering};

macro_rules! print {
    ($($arg:tt)*) => { $crate::shell::out::to_stdout(format_args!($($arg)*), "") };
}

macro_rules! println {
    () => { $crate::shell::out::to_stdout(format_args!(""), "\n") };
    ($($arg:tt)*) => { $crate::shell::out::to_stdout(format_args!($($arg)*), "\n") };
}

macro_rules! eprintln {
    ($($arg:tt)*) => { $crate::shell::out::to_stderr(format_args!($($arg)*)) };
}

/// Whether something could not be written for another reason than that nobody reads it.
static FAILED: AtomicBool = AtomicBool::new(false);

/// Writes to standard output; `end` follows.
pub fn to_stdout(text: fmt::Arguments<'_>, end: &str) {
    note(&write(&mut io::stdout().lock(), text, end));
}

/// Writes a line to standard error. There is nowhere to say that this failed.
pub fn to_stderr(text: fmt::Arguments<'_>) {
    let _ = write(&mut io::stderr().lock(), text, "\n");
}

/// Writes what is still in the buffer, and says whether all that was printed and read has arrived.
pub fn finish() -> bool {
    note(&io::stdout().flush());
    !FAILED.load(Ordering::Relaxed)
}

fn write(to: &mut impl Write, text: fmt::Arguments<'_>, end: &str) -> io::Result<()> {
    to.write_fmt(text)?;
    to.write_all(end.as_bytes())
}

fn note(written: &io::Result<()>) {
    if let Err(error) = written
        && error.kind() != ErrorKind::BrokenPipe
        && !FAILED.swap(true, Ordering::Relaxed)
    {
        eprintln!("error: standard output: {error}");
    }
}
