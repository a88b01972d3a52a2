//! Things of librdkafka's that are ours to destroy, once.

use std::ptr::NonNull;

/// Something of librdkafka's that is ours to destroy.
pub(super) struct Owned<T> {
    ptr: NonNull<T>,
    destroy: unsafe extern "C" fn(*mut T),
}

impl<T> Owned<T> {
    /// `None` for a null pointer. `destroy` must be the function that ends what `ptr` points to,
    /// and nobody else may call it.
    pub(super) fn new(ptr: *mut T, destroy: unsafe extern "C" fn(*mut T)) -> Option<Self> {
        NonNull::new(ptr).map(|ptr| Self { ptr, destroy })
    }

    pub(super) fn ptr(&self) -> *mut T {
        self.ptr.as_ptr()
    }
}

impl<T> Drop for Owned<T> {
    fn drop(&mut self) {
        // SAFETY: whoever made this gave us the pointer and the function that belongs to it.
        unsafe { (self.destroy)(self.ptr.as_ptr()) }
    }
}
