//! The headers of a record that was fetched, taken out of its message.
//!
//! librdkafka keeps headers as the wire had them until somebody asks; then it makes two allocations for
//! each, and keeps them with the message. A hundred thousand headers of two bytes become about ten megabytes.
//! So they are taken out as the record comes, and given back at once if they are too many: one such
//! record at a time, however many wait.
//!
//! The safe iterator panics on a name that is not UTF-8, which any producer can send.

use std::ffi::{CStr, CString, c_char, c_void};
use std::ptr;

use rdkafka::bindings as sys;
use rdkafka::message::{BorrowedHeaders, BorrowedMessage, OwnedHeaders};

use super::owned::Owned;
use crate::record::{Excess, HEADER_BYTES_MAX, HEADERS_MAX, Headers};

/// The headers of a record; possibly none.
pub struct RecordHeaders {
    native: Option<Owned<sys::rd_kafka_headers_t>>,
    excess: Option<Excess>,
    bytes: usize,
}

/// What librdkafka keeps for each header besides its name and value: two allocations and a place in
/// a list. Estimated from its structs, not measured.
pub const OVERHEAD: usize = 96;

impl RecordHeaders {
    /// Takes them out of `message`. Whoever asks the message itself for its headers from here on makes
    /// librdkafka read them anew.
    pub fn take(message: &BorrowedMessage<'_>) -> Self {
        use sys::rd_kafka_resp_err_t::{RD_KAFKA_RESP_ERR__NOENT, RD_KAFKA_RESP_ERR_NO_ERROR};
        let mut found = ptr::null_mut();
        // SAFETY: the message lives as long as the borrow, and nobody else uses it meanwhile: it is
        // not `Sync`. What is found is ours to destroy.
        let code = unsafe { sys::rd_kafka_message_detach_headers(message.ptr(), &mut found) };
        let mut all = Self { native: None, excess: None, bytes: 0 };
        match code {
            RD_KAFKA_RESP_ERR_NO_ERROR => {
                all.native = Owned::new(found, sys::rd_kafka_headers_destroy);
            }
            RD_KAFKA_RESP_ERR__NOENT => {}
            // librdkafka reads no more than 100,000.
            _ => all.excess = Some(Excess { headers: None, bytes: 0 }),
        }
        let count = all.count();
        all.bytes = all.iter().map(|(name, value)| name.len() + value.map_or(0, <[u8]>::len)).sum();
        if count > HEADERS_MAX || all.bytes > HEADER_BYTES_MAX {
            all.excess = Some(Excess { headers: Some(count), bytes: all.bytes });
            (all.native, all.bytes) = (None, 0);
        }
        all
    }

    /// A copy of those whose names `keep` takes.
    pub fn copy(&self, keep: &dyn Fn(&[u8]) -> bool) -> OwnedHeaders {
        let Some(native) = &self.native else { return OwnedHeaders::new() };
        let left: Vec<CString> =
            self.iter().map(|(name, _)| name).filter(|name| !keep(name)).map(owned).collect();
        // SAFETY: `BorrowedHeaders` is a cast `rd_kafka_headers_t`, which lives as long as `self`. The
        // copy is ours alone, and names are valid C strings for the call.
        unsafe {
            let copy = (*native.ptr().cast_const().cast::<BorrowedHeaders>()).detach();
            let headers = ptr::from_ref(copy.as_borrowed()).cast::<sys::rd_kafka_headers_t>();
            for name in left {
                sys::rd_kafka_header_remove(headers.cast_mut(), name.as_ptr());
            }
            copy
        }
    }

    fn count(&self) -> usize {
        // SAFETY: the headers live as long as `self`.
        self.native.as_ref().map_or(0, |native| unsafe { sys::rd_kafka_header_cnt(native.ptr()) })
    }

    /// Names and values, in order.
    fn iter(&self) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
        let native = self.native.iter();
        native.flat_map(|native| (0..self.count()).map_while(|at| Self::at(native, at)))
    }

    fn at(native: &Owned<sys::rd_kafka_headers_t>, at: usize) -> Option<(&[u8], Option<&[u8]>)> {
        let mut name: *const c_char = ptr::null();
        let mut value: *const c_void = ptr::null();
        let mut size = 0_usize;
        // SAFETY: the out-pointers are valid. On success `name` is a C string, and `value` points to
        // `size` bytes or is null; both belong to the headers, which live as long as `native`.
        unsafe {
            let found =
                sys::rd_kafka_header_get_all(native.ptr(), at, &mut name, &mut value, &mut size);
            (found == sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR).then(|| {
                let value = (!value.is_null())
                    .then(|| std::slice::from_raw_parts(value.cast::<u8>(), size));
                (CStr::from_ptr(name).to_bytes(), value)
            })
        }
    }
}

impl Headers for RecordHeaders {
    fn visit<'a>(&'a self, see: &mut dyn FnMut(&'a [u8], Option<&'a [u8]>)) {
        self.iter().for_each(|(name, value)| see(name, value));
    }

    fn excess(&self) -> Option<Excess> {
        self.excess
    }

    fn footprint(&self) -> usize {
        self.bytes + OVERHEAD * self.count()
    }
}

fn owned(name: &[u8]) -> CString {
    CString::new(name).expect("it was a C string")
}

/// Value of the last header of this name, if there is one and it is not null.
///
/// The safe iterator panics on a header name that is not UTF-8: any producer could stop us.
pub fn header<'a>(headers: &'a BorrowedHeaders, name: &CStr) -> Option<&'a [u8]> {
    let mut value: *const c_void = ptr::null();
    let mut size = 0_usize;
    // SAFETY: a `&BorrowedHeaders` is a cast `rd_kafka_headers_t` that lives as long as the
    // reference. The out-pointers are valid; on success `value` points to `size` bytes owned by
    // the headers, or is null.
    unsafe {
        let headers = ptr::from_ref(headers).cast::<sys::rd_kafka_headers_t>();
        let found = sys::rd_kafka_header_get_last(headers, name.as_ptr(), &mut value, &mut size);
        let is_there = found == sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR;
        (is_there && !value.is_null()).then(|| std::slice::from_raw_parts(value.cast::<u8>(), size))
    }
}
