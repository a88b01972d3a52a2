//! Names of ours as C has them.

use std::ffi::{CString, c_char};

/// Lends names as C strings. Names come from a configuration that allows no NUL.
pub(super) fn with_names<T>(names: &[&str], body: impl FnOnce(&mut [*const c_char]) -> T) -> T {
    let names: Vec<CString> =
        names.iter().map(|&name| CString::new(name).expect("a name without NUL")).collect();
    let mut pointers: Vec<*const c_char> = names.iter().map(|name| name.as_ptr()).collect();
    body(&mut pointers)
}
